// SPDX-License-Identifier: Apache-2.0
#include "world/selection.h"

#include <ctype.h>
#include <fnmatch.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define HEX	      "0123456789abcdef"
#define DIGITS	      "0123456789"
#define CONTAINER_MIN 4
#define CONTAINER_LEN 64
#define PID_DIGITS    7

/* The highest pid that a kernel can be set to. */
#define PID_MAX 4194304

/* The next value of the list at *@at, in @value; false at its end. Values that are too long are none. */
static bool next(const char **at, char value[SELECTION_VALUE_MAX])
{
	const char *p = *at;
	size_t len;

	if (!p || !*p)
		return false;
	len = strcspn(p, ",");
	snprintf(value, SELECTION_VALUE_MAX, "%.*s", len < SELECTION_VALUE_MAX ? (int)len : 0, p);
	*at = p + len + (p[len] == ',');
	return true;
}

static bool is_any(const char *list)
{
	return !list || !*list;
}

bool selection_is_empty(const struct selection *s)
{
	return is_any(s->pids) && is_any(s->commands) && is_any(s->services) &&
	       is_any(s->containers) && is_any(s->cgroups);
}

static bool glob(const char *list, const char *text)
{
	char value[SELECTION_VALUE_MAX];

	while (text && next(&list, value))
		if (fnmatch(value, text, 0) == 0)
			return true;
	return false;
}

static bool fits_pid(const char *list, uint32_t pid)
{
	char value[SELECTION_VALUE_MAX], own[16];

	snprintf(own, sizeof(own), "%u", pid);
	while (next(&list, value))
		if (strcmp(value, own) == 0)
			return true;
	return false;
}

static bool has_prefix(const char *list, const char *id)
{
	char value[SELECTION_VALUE_MAX];

	while (next(&list, value))
		if (*value && strncmp(id, value, strlen(value)) == 0)
			return true;
	return false;
}

/*
 * Container runtimes name a cgroup by the id of the container, 64 hexadecimal digits, with what they
 * are around it: docker-ID.scope, cri-containerd:ID, libpod-ID.scope/container. What watches a
 * container of podman's or CRI-O's is not in it.
 */
static bool path_fits_container(const char *list, const char *path)
{
	static const char watcher[] = "conmon-";
	const char *p = path;

	while (*p) {
		size_t len = strspn(p, HEX);

		if (len == CONTAINER_LEN && !isalnum((unsigned char)p[len]) &&
		    !(p - path >= (ptrdiff_t)sizeof(watcher) - 1 &&
		      strncmp(p - (sizeof(watcher) - 1), watcher, sizeof(watcher) - 1) == 0) &&
		    has_prefix(list, p))
			return true;
		/* The rest of a word that has other letters too is no number. */
		p += len;
		p += strspn(p, "ghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" HEX);
		p += *p && !strchr(HEX, *p);
	}
	return false;
}

/* Asks @fits of the path of each line, "4:memory:/a/b" or "0::/a/b". */
static bool any_path(const char *lines, const char *list,
		     bool (*fits)(const char *list, const char *path))
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];

	while (lines && *lines) {
		size_t len = strcspn(lines, "\n");
		const char *at = memchr(lines, ':', len);

		at = at ? memchr(at + 1, ':', len - (size_t)(at + 1 - lines)) : NULL;
		if (at) {
			int n = (int)(lines + len - (at + 1));

			snprintf(path, sizeof(path), "%.*s", n, at + 1);
			n = (int)(strlen(path) - (sizeof(deleted) - 1));
			if (n > 0 && strcmp(path + n, deleted) == 0)
				path[n] = '\0';
			if (fits(list, path))
				return true;
		}
		lines += len + (lines[len] == '\n');
	}
	return false;
}

unsigned int selection_misfits(const struct selection *s, const struct process_facts *f)
{
	unsigned int misfits = 0;

	if (!is_any(s->pids) && !fits_pid(s->pids, f->pid))
		misfits |= MISFIT_PID;
	if (!is_any(s->commands) && !glob(s->commands, f->comm) && !glob(s->commands, f->exe))
		misfits |= MISFIT_COMMAND;
	if (!is_any(s->services) && !glob(s->services, f->service))
		misfits |= MISFIT_SERVICE;
	if (!is_any(s->containers) && !any_path(f->cgroup, s->containers, path_fits_container))
		misfits |= MISFIT_PLACE;
	if (!is_any(s->cgroups) && !any_path(f->cgroup, s->cgroups, glob))
		misfits |= MISFIT_PLACE;
	return misfits;
}

/* ---- what the command line may hold ---- */

/* Whether each value of the list has at least @min and at most @max characters, of @set if given. */
static bool is_list_of(const char *text, const char *set, size_t min, size_t max)
{
	while (*text) {
		size_t len = strcspn(text, ",");

		if (len < min || len > max || (set && strspn(text, set) < len))
			return false;
		text += len;
		if (*text == ',' && !*++text)
			return false;
	}
	return true;
}

bool selection_is_pids(const char *text)
{
	unsigned long pid;

	if (!is_list_of(text, DIGITS, 1, PID_DIGITS))
		return false;
	for (; *text; text += strcspn(text, ","), text += *text == ',') {
		if (*text == '0' || sscanf(text, "%7lu", &pid) != 1 || pid > PID_MAX)
			return false;
	}
	return true;
}

bool selection_is_globs(const char *text)
{
	return is_list_of(text, NULL, 1, SELECTION_VALUE_MAX - 1);
}

bool selection_is_containers(const char *text)
{
	return is_list_of(text, HEX, CONTAINER_MIN, CONTAINER_LEN);
}
