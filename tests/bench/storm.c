/*
 * Starts processes that do nothing, as fast as it can, and prints how long each
 * took: storm COUNT WORKERS. Static, so that starting one is cheap and what a
 * recorder adds shows.
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void work(const char *self, int worker, int count)
{
	for (int i = 0; i < count; i++) {
		char argument[32];
		char *argv[] = {(char *)self, argument, NULL};
		pid_t pid;

		snprintf(argument, sizeof(argument), "u-%d-%d", worker, i);
		if (posix_spawn(&pid, self, NULL, NULL, argv, environ))
			_exit(1);
		waitpid(pid, NULL, 0);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	int count, workers, status, failed = 0;
	double begin;

	if (argc < 3)
		return 0;
	count = atoi(argv[1]);
	workers = atoi(argv[2]);
	begin = now_us();
	for (int i = 0; i < workers; i++)
		if (!fork())
			work("/proc/self/exe", i, count / workers);
	while (wait(&status) > 0)
		failed |= status;
	printf("%.2f\n", (now_us() - begin) / count);
	return failed != 0;
}
