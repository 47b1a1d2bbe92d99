// SPDX-License-Identifier: Apache-2.0
#include "world/sandbox.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

/* The header of the running program, by the linker: it names the machine this was built for. */
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

static int set_limit(int resource, rlim_t soft, rlim_t hard, struct err *e)
{
	struct rlimit both = { .rlim_cur = soft, .rlim_max = hard };

	if (setrlimit((__rlimit_resource_t)resource, &both) < 0)
		return err_set(e, -errno, "limit resource %d: %m", resource);
	return 0;
}

static int drop_capabilities(struct err *e)
{
	cap_t none = cap_init();
	int r = 0;

	if (!none)
		return err_set(e, -ENOMEM, "out of memory");
	if (cap_set_proc(none) < 0)
		r = err_set(e, -errno, "drop capabilities: %m");
	cap_free(none);
	return r;
}

int sandbox_drop_privileges(pid_t parent, struct err *e)
{
	int r;

	r = drop_capabilities(e);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, -errno, "set no_new_privs: %m");
	r = set_limit(RLIMIT_CORE, 0, 0, e);
	if (r < 0)
		return r;
	/* Last, because a change of credentials clears it; and the parent may be gone already. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_set(e, -errno, "set parent-death signal: %m");
	if (getppid() != parent)
		_exit(0);
	return 0;
}

int sandbox_close_files(int from, struct err *e)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Sanitizers report on standard error. Without a /dev nothing better than that is left. */
	for (int fd = 0; null >= 0 && fd < (sanitized ? 2 : 3); fd++)
		if (dup2(null, fd) < 0)
			return err_set(e, -errno, "redirect descriptor %d: %m", fd);
	if (close_range((unsigned int)from, ~0U, 0) < 0)
		return err_set(e, -errno, "close descriptors: %m");
	return 0;
}

/* clang-format off */
#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_EQUAL(k, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (then), (otherwise))
#define IF_BITS(k, then, otherwise)  BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (k), (then), (otherwise))
#define RETURN(what)	BPF_STMT(BPF_RET | BPF_K, (what))
#define KILL		RETURN(SECCOMP_RET_KILL_PROCESS)
#define ALLOW		RETURN(SECCOMP_RET_ALLOW)
#define ALLOW_CALL(nr)	IF_EQUAL((nr), 0, 1), ALLOW
/* When the call is @nr: its argument @i must be @k. */
#define ALLOW_CALL_WITH(nr, i, k) \
	IF_EQUAL((nr), 0, 4), LOAD(args[i]), IF_EQUAL((k), 0, 1), ALLOW, KILL

/* Arguments are compared by their low halves, which is all that the kernel looks at in these. */
static int install_filter(int write_fd)
{
	struct sock_filter filter[] = {
		LOAD(arch),
		IF_EQUAL(__ehdr_start.e_machine | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE, 1, 0),
		KILL,
		LOAD(nr),
		ALLOW_CALL(__NR_pread64),
		ALLOW_CALL(__NR_read),
		ALLOW_CALL(__NR_lseek),
		ALLOW_CALL(__NR_fstat),
		ALLOW_CALL(__NR_brk),
		ALLOW_CALL(__NR_munmap),
		ALLOW_CALL(__NR_mremap),
		ALLOW_CALL(__NR_madvise),
		ALLOW_CALL(__NR_close),
		ALLOW_CALL(__NR_futex),
		ALLOW_CALL(__NR_clock_gettime),
		ALLOW_CALL(__NR_getrandom),	/* glibc's malloc()'s */
		ALLOW_CALL(__NR_sysinfo),	/* its qsort()'s, which capstone calls */
		ALLOW_CALL(__NR_restart_syscall),
		ALLOW_CALL(__NR_exit),
		ALLOW_CALL(__NR_exit_group),
		ALLOW_CALL_WITH(__NR_write, 0, (uint32_t)write_fd),
		ALLOW_CALL_WITH(__NR_newfstatat, 3, AT_EMPTY_PATH),	/* glibc's fstat() */
		ALLOW_CALL_WITH(__NR_fcntl, 1, F_GETFD),		/* libelf's */
		IF_EQUAL(__NR_mmap, 0, 6),
		LOAD(args[2]),
		IF_BITS(PROT_EXEC, 3, 0),
		LOAD(args[3]),
		IF_BITS(MAP_ANONYMOUS, 0, 1),
		ALLOW,
		KILL,
		KILL,
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
/* clang-format on */

int sandbox_seal(int write_fd, struct err *e)
{
	int r;

	/* The hard limit kills without saying why, so it comes a second later. */
	r = set_limit(RLIMIT_CPU, SANDBOX_CPU_SECONDS, SANDBOX_CPU_SECONDS + 1, e);
	if (r < 0 || sanitized)
		return r;
	r = set_limit(RLIMIT_AS, SANDBOX_MEMORY_BYTES, SANDBOX_MEMORY_BYTES, e);
	if (r < 0)
		return r;
	if (install_filter(write_fd) < 0)
		return err_set(e, -errno, "install the system call filter: %m");
	return 0;
}
