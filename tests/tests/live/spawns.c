/* Starts a program in each of the ways that there are, each from a function of its own. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUNCTION __attribute__((noinline, noipa)) void

extern char **environ;
static volatile int done;
static char *argv_of_true[] = {"true", NULL};

FUNCTION by_fork(void)
{
	pid_t pid = fork();

	if (!pid) {
		execv("/bin/true", argv_of_true);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	done++;
}

FUNCTION by_posix_spawn(void)
{
	pid_t pid;

	if (!posix_spawn(&pid, "/bin/true", NULL, NULL, argv_of_true, environ))
		waitpid(pid, NULL, 0);
	done++;
}

FUNCTION by_system(void)
{
	done += system("true");
}

FUNCTION by_popen(void)
{
	FILE *pipe = popen("true", "r");

	if (pipe)
		done += pclose(pipe);
}

int main(void)
{
	by_fork();
	by_posix_spawn();
	by_system();
	by_popen();
	return done < 0;
}
