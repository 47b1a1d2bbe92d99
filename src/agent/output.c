// SPDX-License-Identifier: Apache-2.0
#include "agent/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* ---- what is written to as it is ---- */

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int write_as_it_is(const struct output *o, const char *data, size_t len)
{
	struct stat st;

	if (o->ours && (fstat(o->fd, &st) < 0 || (S_ISREG(st.st_mode) && ftruncate(o->fd, 0) < 0)))
		return -errno;
	return write_all(o->fd, data, len);
}

/* ---- what is replaced ---- */

struct place {
	int folder; /* what the path leads to is looked up once: others may rename it */
	char name[NAME_MAX + 1];
	int fd;		 /* of the old file; -1: there is none */
	struct stat old; /* if there is one */
	char temporary[NAME_MAX + 1];
};

#define PLACE_NONE ((struct place){ .folder = -1, .fd = -1 })

/* The new file, with what the old one's owner and mode were; its name in @p->temporary. */
static int make_temporary(struct place *p)
{
	unsigned int number;
	int fd, err;

	if (getrandom(&number, sizeof(number), 0) < 0)
		return -errno;
	snprintf(p->temporary, sizeof(p->temporary), ".%.200s.%08x", p->name, number);
	fd = openat(p->folder, p->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    p->fd >= 0 ? 0600 : 0644);
	if (fd < 0)
		return -errno;
	if (p->fd < 0 || (fchown(fd, p->old.st_uid, p->old.st_gid) == 0 &&
			  fchmod(fd, p->old.st_mode & 07777) == 0))
		return fd;
	err = -errno;
	close(fd);
	unlinkat(p->folder, p->temporary, 0);
	return err;
}

static bool is_mount_point(const struct place *p)
{
	struct statx st;

	return statx(p->folder, p->name, AT_SYMLINK_NOFOLLOW, 0, &st) == 0 &&
	       st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* Opens the old file: 1, also if there is none; 0 if it is of those that are not replaced. */
static int open_old(struct place *p)
{
	struct stat seen;

	if (fstatat(p->folder, p->name, &seen, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 1 : -errno;
	if (!S_ISREG(seen.st_mode) || seen.st_nlink != 1 || is_mount_point(p))
		return 0;
	/* A link or a pipe that took its place meanwhile is not followed, and not waited for. */
	p->fd = openat(p->folder, p->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0)
		return errno == ELOOP || errno == ENXIO ? -ESTALE : -errno;
	if (fstat(p->fd, &p->old) < 0)
		return -errno;
	return p->old.st_dev == seen.st_dev && p->old.st_ino == seen.st_ino ? 1 : -ESTALE;
}

/* Fills *@p, which is to be closed whatever comes of it. Returns as open_old(). */
static int find_place(const char *path, struct place *p)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	cleanup(cleanup_free) char *folder =
		slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	if (!folder)
		return -ENOMEM;
	if (!*name || (size_t)snprintf(p->name, sizeof(p->name), "%s", name) >= sizeof(p->name))
		return 0;
	p->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->folder < 0 ? -errno : open_old(p);
}

static void close_place(struct place *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->folder >= 0)
		close(p->folder);
}

/* Whether a file can be put there, by trying. */
static int try_temporary(struct place *p)
{
	int fd = make_temporary(p);

	if (fd < 0)
		return fd;
	close(fd);
	unlinkat(p->folder, p->temporary, 0);
	return 0;
}

/* ---- the keeper: all that is left in the child ---- */

/* All of the @left bytes that @in has for the file, on the disk. */
static int copy(int in, int out, size_t left)
{
	static char buf[64 * 1024];

	while (left) {
		ssize_t n = read(in, buf, left < sizeof(buf) ? left : sizeof(buf));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		r = write_all(out, buf, (size_t)n);
		if (r < 0)
			return r;
		left -= (size_t)n;
	}
	/* There are file systems without it. */
	return fsync(out) < 0 && errno != EINVAL && errno != ENOSYS ? -errno : 0;
}

static int replace(int in, size_t len, struct place *p)
{
	int out = make_temporary(p), r;

	if (out < 0)
		return out;
	r = copy(in, out, len);
	if (close(out) < 0 && !r)
		r = -errno;
	if (!r && renameat(p->folder, p->temporary, p->folder, p->name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(p->folder, p->temporary, 0);
	return r;
}

/* The rights to write into a folder of others', and to give a file to its owner; no other. */
static int keep_rights(void)
{
	static const cap_value_t kept[] = { CAP_DAC_OVERRIDE, CAP_CHOWN, CAP_FOWNER, CAP_FSETID };
	cap_t old = cap_get_proc(), new = cap_init();
	int r = old && new ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < ARRAY_SIZE(kept); i++) {
		cap_flag_value_t had = CAP_CLEAR;

		cap_get_flag(old, kept[i], CAP_PERMITTED, &had);
		if (had == CAP_SET && (cap_set_flag(new, CAP_PERMITTED, 1, &kept[i], CAP_SET) < 0 ||
				       cap_set_flag(new, CAP_EFFECTIVE, 1, &kept[i], CAP_SET) < 0))
			r = -errno;
	}
	if (!r && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || cap_set_proc(new) < 0))
		r = -errno;
	cap_free(old);
	cap_free(new);
	return r;
}

/*
 * Waits for a length and as many bytes, replaces the file, and answers with what came of it. Gone
 * with the agent, however that ends. Ctrl-C is the agent's affair.
 */
__attribute__((noreturn)) static void keep(int socket, struct place *p)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE };
	size_t len;
	int r;

	prctl(PR_SET_NAME, "sonde-output");
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	r = keep_rights();
	if (read(socket, &len, sizeof(len)) != sizeof(len))
		_exit(0);
	if (!r)
		r = replace(socket, len, p);
	_exit(write(socket, &r, sizeof(r)) == sizeof(r) ? 0 : 1);
}

static int start_keeper(struct output *o, struct place *p)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		keep(ends[1], p);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	o->keeper = ends[0];
	o->keeper_pid = pid;
	return 0;
}

/* False when the keeper has stopped reading: why, is in its answer. */
static bool send_all(int socket, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(socket, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static int hand_over(const struct output *o, const char *data, size_t len, struct err *e)
{
	ssize_t n;
	int r;

	if (send_all(o->keeper, &len, sizeof(len)))
		send_all(o->keeper, data, len);
	do
		n = recv(o->keeper, &r, sizeof(r), MSG_WAITALL);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(r))
		return err_set(e, -EPIPE,
			       "cannot write %s: the process that writes the file has ended",
			       o->path);
	return r < 0 ? err_set(e, r, "cannot write %s: %s", o->path, strerror(-r)) : 0;
}

/* ---- both ---- */

/*
 * Where fs.protected_fifos is set, a pipe of somebody else's in /tmp is not opened by a call that could
 * make it.
 */
static int open_as_it_is(const char *path)
{
	const int flags = O_WRONLY | O_CLOEXEC | O_NOCTTY;
	int fd = open(path, flags);

	if (fd < 0 && errno == ENOENT)
		fd = open(path, flags | O_CREAT, 0644);
	return fd < 0 ? -errno : fd;
}

static int open_place(struct output *o, struct place *p)
{
	int r = try_temporary(p);

	if (!r)
		return start_keeper(o, p);
	if (p->fd < 0)
		return r;
	o->fd = take_fd(&p->fd);
	return 0;
}

static int open_path(struct output *o)
{
	struct place p = PLACE_NONE;
	int r = find_place(o->path, &p);

	o->ours = true;
	if (r > 0) {
		r = open_place(o, &p);
	} else if (!r) {
		o->fd = open_as_it_is(o->path);
		r = o->fd < 0 ? o->fd : 0;
	}
	close_place(&p);
	return r;
}

int output_open(const char *path, struct output *o, struct err *e)
{
	int r = 0;

	*o = OUTPUT_NONE;
	o->path = path;
	if (strcmp(path, "-") != 0) {
		r = open_path(o);
	} else {
		o->fd = dup(STDOUT_FILENO);
		r = o->fd < 0 ? -errno : 0;
	}
	if (r == -ESTALE)
		return err_set(e, r, "cannot write %s: another file has taken its place", path);
	return r < 0 ? err_set(e, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

int output_write(struct output *o, const char *data, size_t len, struct err *e)
{
	int r;

	if (o->keeper >= 0)
		return hand_over(o, data, len, e);
	r = write_as_it_is(o, data, len);
	return r < 0 ? err_set(e, r, "cannot write %s: %s", o->path, strerror(-r)) : 0;
}

bool output_is(const struct output *o, int fd)
{
	struct stat a, b;

	return o->fd >= 0 && fstat(o->fd, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

void output_close(struct output *o)
{
	if (o->fd >= 0)
		close(o->fd);
	if (o->keeper >= 0) {
		close(o->keeper);
		waitpid(o->keeper_pid, NULL, 0);
	}
	o->fd = o->keeper = -1;
}
