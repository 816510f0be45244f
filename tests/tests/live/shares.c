/* Spends some seconds of CPU time: half, three tenths and a fifth in three functions. */
#include <stdlib.h>
#include <time.h>

#define FUNCTION __attribute__((noinline, noipa)) void
#define UNIT 20000

static volatile unsigned long done;

/* Bound by the latency of a multiplication, wherever the loop lies. */
static inline __attribute__((always_inline)) void work(unsigned long n)
{
	unsigned long x = done;

	for (unsigned long i = 0; i < n; i++) {
		x *= 0x9e3779b97f4a7c15; /* no shift and add will do */
		__asm__ volatile("" : "+r"(x));
	}
	done = x;
}

FUNCTION share_half(unsigned long n)
{
	work(5 * n);
}

FUNCTION share_three_tenths(unsigned long n)
{
	work(3 * n);
}

FUNCTION share_fifth(unsigned long n)
{
	work(2 * n);
}

int main(int argc, char **argv)
{
	clock_t seconds = argc > 1 ? atoi(argv[1]) : 1;
	unsigned random = 1;

	/* In turns of uneven length, or a sampler in step with them would always
	 * find the same function. */
	while (clock() < seconds * CLOCKS_PER_SEC) {
		random = random * 1664525 + 1013904223;
		unsigned long n = UNIT / 2 + (random >> 8) % UNIT;

		share_half(n);
		share_three_tenths(n);
		share_fifth(n);
	}
	return 0;
}
