// SPDX-License-Identifier: Apache-2.0
#include "agent/privileges.h"

#include <errno.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "kern/features.h"

static const cap_value_t kept[] = { CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH,
				    CAP_SYS_ADMIN };

static bool have(cap_t caps, cap_value_t cap)
{
	cap_flag_value_t value = CAP_CLEAR;

	return cap_get_flag(caps, cap, CAP_PERMITTED, &value) == 0 && value == CAP_SET;
}

static int apply(cap_t old, cap_t new)
{
	/* Needed least where attaching to programs does not go through perf events. */
	size_t n = ARRAY_SIZE(kept) - (kern_has(KERN_UPROBE_MULTI) ? 1 : 0);

	for (size_t i = 0; i < n; i++)
		if (have(old, kept[i]) &&
		    (cap_set_flag(new, CAP_PERMITTED, 1, &kept[i], CAP_SET) < 0 ||
		     cap_set_flag(new, CAP_EFFECTIVE, 1, &kept[i], CAP_SET) < 0))
			return -errno;
	return cap_set_proc(new) < 0 ? -errno : 0;
}

int privileges_reduce(struct err *e)
{
	cap_t old, new;
	int r = -ENOMEM;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, -errno, "cannot give up new privileges: %s", strerror(errno));
	old = cap_get_proc();
	new = cap_init();
	if (old && new)
		r = apply(old, new);
	cap_free(old);
	cap_free(new);
	if (r < 0)
		return err_set(e, r, "cannot give up capabilities: %s", strerror(-r));
	return 0;
}

int privileges_check(struct err *e)
{
	cap_t caps = cap_get_proc();
	bool ok = caps &&
		  ((have(caps, CAP_BPF) && have(caps, CAP_PERFMON)) || have(caps, CAP_SYS_ADMIN));

	cap_free(caps);
	return ok ? 0
		  : err_set(e, -EPERM,
			    "sonde needs root, or the capabilities CAP_BPF, CAP_PERFMON, "
			    "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: start it with sudo");
}
