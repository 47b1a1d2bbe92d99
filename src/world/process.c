// SPDX-License-Identifier: Apache-2.0
#include "world/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A process can put megabytes into its environment; what we look for stands in its first part. */
#define ENVIRON_MAX (64 * 1024)

static int gone_or(int error)
{
	return error == ENOENT || error == ESRCH ? -ESRCH : -error;
}

static void copy_bounded(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(to, from, len);
	to[len] = '\0';
}

/* The value of service.name in "key=value,key=value". */
static bool from_resource_attributes(const char *list, char ret[SERVICE_NAME_MAX])
{
	static const char key[] = "service.name=";

	while (*list) {
		size_t len = strcspn(list, ",");

		while (len && isspace((unsigned char)*list)) {
			list++;
			len--;
		}
		if (len > sizeof(key) - 1 && strncmp(list, key, sizeof(key) - 1) == 0) {
			copy_bounded(ret, SERVICE_NAME_MAX, list + sizeof(key) - 1,
				     len - (sizeof(key) - 1));
			return true;
		}
		list += len;
		list += *list == ',';
	}
	return false;
}

/* The first @size - 1 bytes of PROC/PID/@name, and a NUL behind them; their number. */
static ssize_t read_start(const char *proc, pid_t pid, const char *name, char *buf, size_t size)
{
	char path[PATH_MAX];
	cleanup(cleanup_fd) int fd = -1;
	size_t len = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%d/%s", proc, pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return gone_or(errno);
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0)
			return gone_or(errno);
		if (!n)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return (ssize_t)len;
}

static bool name_from_environ(const char *env, size_t len, char ret[SERVICE_NAME_MAX])
{
	static const char name[] = "OTEL_SERVICE_NAME=", attrs[] = "OTEL_RESOURCE_ATTRIBUTES=";
	bool found = false;

	for (const char *p = env; p < env + len; p += strlen(p) + 1) {
		if (strncmp(p, name, sizeof(name) - 1) == 0 && p[sizeof(name) - 1]) {
			copy_bounded(ret, SERVICE_NAME_MAX, p + sizeof(name) - 1,
				     strlen(p + sizeof(name) - 1));
			return true;
		}
		if (!found && strncmp(p, attrs, sizeof(attrs) - 1) == 0)
			found = from_resource_attributes(p + sizeof(attrs) - 1, ret);
	}
	return found;
}

/* Where /proc/PID/exe points to, without the note that the file is gone. */
static int exe_path(const char *proc, pid_t pid, char *path, size_t size)
{
	static const char deleted[] = " (deleted)";
	char link[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "%s/%d/exe", proc, pid);
	n = readlink(link, path, size - 1);
	if (n < 0)
		return gone_or(errno);
	path[n] = '\0';
	if ((size_t)n > sizeof(deleted) - 1 &&
	    strcmp(path + n - (sizeof(deleted) - 1), deleted) == 0)
		path[n - (ssize_t)(sizeof(deleted) - 1)] = '\0';
	return 0;
}

int process_exe_name(const char *proc, pid_t pid, char *ret, size_t size)
{
	char path[PATH_MAX];
	const char *base;
	int r = exe_path(proc, pid, path, sizeof(path));

	if (r < 0)
		return r;
	base = strrchr(path, '/');
	base = base ? base + 1 : path;
	copy_bounded(ret, size, base, strlen(base));
	return 0;
}

int process_comm(const char *proc, pid_t pid, char ret[PROCESS_COMM_MAX])
{
	char text[PROCESS_COMM_MAX + 1];
	ssize_t n = read_start(proc, pid, "comm", text, sizeof(text));

	if (n < 0)
		return (int)n;
	if (n && text[n - 1] == '\n')
		n--;
	copy_bounded(ret, PROCESS_COMM_MAX, text, (size_t)n);
	return 0;
}

int process_cgroup(const char *proc, pid_t pid, char *ret, size_t size)
{
	ssize_t n = read_start(proc, pid, "cgroup", ret, size);

	return n < 0 ? (int)n : 0;
}

int process_service_name(const char *proc, pid_t pid, char ret[SERVICE_NAME_MAX])
{
	cleanup(cleanup_free) char *env = malloc(ENVIRON_MAX);
	ssize_t n;

	if (!env)
		return -ENOMEM;
	n = read_start(proc, pid, "environ", env, ENVIRON_MAX);
	if (n == -ESRCH)
		return (int)n;
	if (n > 0 && name_from_environ(env, (size_t)n, ret))
		return 0;
	return process_exe_name(proc, pid, ret, SERVICE_NAME_MAX);
}

/*
 * Of an open file (@path "") or of what a link leads to. Times of change do not tell files apart: a
 * chmod, a new name or a backup moves them, and a program that runs would be taken for a second one.
 */
static int read_id(int dir, const char *path, struct file_id *id)
{
	struct statx st;

	/* Not the newest figures, so that a file server that has gone away cannot hold us up. */
	if (statx(dir, path, (*path ? 0 : AT_EMPTY_PATH) | AT_STATX_DONT_SYNC,
		  STATX_INO | STATX_BTIME, &st) < 0)
		return gone_or(errno);
	id->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	id->ino = st.stx_ino;
	id->born_ns = 0;
	if (st.stx_mask & STATX_BTIME)
		id->born_ns = st.stx_btime.tv_sec * 1000000000LL + st.stx_btime.tv_nsec;
	return 0;
}

int process_open_exe(const char *proc, pid_t pid, struct file_id *id, char *path, size_t size)
{
	char link[PATH_MAX], target[PATH_MAX];
	cleanup(cleanup_fd) int fd = -1;
	int r;

	snprintf(link, sizeof(link), "%s/%d/exe", proc, pid);
	/* The link leads to the file itself, not to its path. It is a regular file: it was executed. */
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return gone_or(errno);
	r = read_id(fd, "", id);
	if (r < 0)
		return r;
	if (path) {
		r = exe_path(proc, pid, target, sizeof(target));
		if (r < 0)
			return r;
		copy_bounded(path, size, target, strlen(target));
	}
	return take_fd(&fd);
}

int process_exe_id(const char *proc, pid_t pid, struct file_id *id)
{
	char link[PATH_MAX];

	snprintf(link, sizeof(link), "%s/%d/exe", proc, pid);
	return read_id(AT_FDCWD, link, id);
}

int process_walk(const char *proc, int (*each)(pid_t pid, void *arg), void *arg, struct err *e)
{
	struct dirent *d;
	DIR *dir = opendir(proc);
	int r = 0;

	if (!dir)
		return err_set(e, -errno, "cannot read %s: %s", proc, strerror(errno));
	while (!r && (d = readdir(dir))) {
		char *end;
		long pid = strtol(d->d_name, &end, 10);

		if (!*end && pid > 0 && pid <= INT_MAX)
			r = each((pid_t)pid, arg);
	}
	closedir(dir);
	return r;
}

bool process_alive(const char *proc, pid_t pid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d", proc, pid);
	return access(path, F_OK) == 0;
}
