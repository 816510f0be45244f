#include <time.h>

volatile unsigned whence_sum;

static inline __attribute__((always_inline)) void whence_inlined(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		whence_sum += i * VARIANT; /* line 8 */
}

__attribute__((noinline)) void whence_hot(unsigned n)
{
	whence_inlined(n); /* line 13 */
	whence_sum++;
}

/* Spends a second of CPU time, all but a little of it in the loop above. */
int main(void)
{
	while (clock() < CLOCKS_PER_SEC)
		whence_hot(1000000); /* line 21 */
	return 0;
}
