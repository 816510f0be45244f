/*
 * Burns CPU on every thread in call paths 10 to 34 deep, with frame pointers:
 * deep SECONDS THREADS. Prints how many turns were done, so that what a recorder
 * takes away shows.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Some hundred paths, as a program has that does the same all the time. */
#define PATH_BITS 5

static double seconds;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static __attribute__((noinline)) unsigned long work(unsigned long x)
{
	for (int i = 0; i < 20000; i++)
		x = x * 6364136223846793005UL + 1442695040888963407UL;
	return x;
}

#define LEVEL(name, other)                                                            \
	static __attribute__((noinline)) unsigned long name(int depth, unsigned long x) \
	{                                                                             \
		x = depth > 0 ? other(depth - 1, x) : work(x);                        \
		__asm__ volatile("" : "+r"(x));                                       \
		return x + 1;                                                         \
	}

static unsigned long fork_of_paths(int depth, unsigned long x);
LEVEL(left, fork_of_paths)
LEVEL(right, fork_of_paths)
static __attribute__((noinline)) unsigned long fork_of_paths(int depth, unsigned long x)
{
	x = (x >> (depth % PATH_BITS)) & 1 ? left(depth, x) : right(depth, x);
	__asm__ volatile("" : "+r"(x));
	return x + 1;
}

static void *burn(void *turns)
{
	unsigned long x = 1;
	double end = now_s() + seconds;

	while (now_s() < end) {
		x = fork_of_paths(4 + (x >> 33) % 12, x);
		++*(unsigned long *)turns;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[2]) : 1;
	unsigned long turns[256] = {}, sum = 0;
	pthread_t all[256];

	seconds = argc > 1 ? atof(argv[1]) : 1;
	if (threads > 256)
		threads = 256;
	for (int i = 0; i < threads; i++)
		pthread_create(&all[i], NULL, burn, &turns[i]);
	for (int i = 0; i < threads; i++)
		pthread_join(all[i], NULL);
	for (int i = 0; i < threads; i++)
		sum += turns[i];
	printf("%lu\n", sum);
	return 0;
}
