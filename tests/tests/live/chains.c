/*
 * A known chain of calls, at whose end the program stays in one of several ways:
 * `chains WAY FILE`. It makes the file when it is about to go there.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FUNCTION __attribute__((noinline, noipa)) void

static volatile unsigned long done;
static void (*stay)(void);

FUNCTION spin(void)
{
	for (;;)
		done++;
}

FUNCTION ask_time(void)
{
	struct timespec now;

	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		done++;
	}
}

static void on_signal(int number)
{
	spin();
	done += number;
}

FUNCTION be_signalled(void)
{
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	done++;
}

/* Two functions that are made here, with frame pointers: the second calls the
 * first, which never ends. */
FUNCTION run_made(void)
{
	static const unsigned char code[] = {
		0x55,			      /* push %rbp */
		0x48, 0x89, 0xe5,	      /* mov %rsp, %rbp */
		0xeb, 0xfe,		      /* jmp to itself */
		0x55,			      /* push %rbp */
		0x48, 0x89, 0xe5,	      /* mov %rsp, %rbp */
		0xe8, 0xf1, 0xff, 0xff, 0xff, /* call the first */
		0x5d,			      /* pop %rbp */
		0xc3,			      /* ret */
	};
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(at, code, sizeof(code));
	((void (*)(void))(at + 6))();
	done++;
}

FUNCTION chain_leaf(void)
{
	stay();
	done++;
}

FUNCTION chain_middle(void)
{
	chain_leaf();
	done++;
}

FUNCTION chain_outer(void)
{
	chain_middle();
	done++;
}

int main(int argc, char **argv)
{
	const char *way = argc > 2 ? argv[1] : "";

	if (!strcmp(way, "spin"))
		stay = spin;
	else if (!strcmp(way, "vdso"))
		stay = ask_time;
	else if (!strcmp(way, "signal"))
		stay = be_signalled;
	else if (!strcmp(way, "made"))
		stay = run_made;
	else
		return 2;
	close(creat(argv[2], 0600));
	chain_outer();
	return 0;
}
