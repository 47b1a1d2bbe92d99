/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

/*
 * Scope-bound cleanup. A destructor handed to cleanup() takes a pointer to the variable, accepts
 * NULL and half-built objects. Ownership is given away by name with take_ptr() and take_fd().
 */
#define cleanup(fn) __attribute__((cleanup(fn)))

/* Defines `void FN##p(T **)` from `void FN(T *)`, for use with cleanup(). */
#define DEFINE_CLEANUP(T, FN)           \
	static inline void FN##p(T **p) \
	{                               \
		if (*p)                 \
			FN(*p);         \
	}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define take_ptr(p)                                 \
	__extension__({                             \
		__typeof__(p) *take_from_ = &(p);   \
		__typeof__(p) taken_ = *take_from_; \
		*take_from_ = NULL;                 \
		taken_;                             \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
