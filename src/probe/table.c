// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "probe/probe.h"

#define PROBE(name) extern const struct probe probe_##name;
#include "probe/probes.def"
#undef PROBE

#define PROBE(name) &probe_##name,
const struct probe *const probes[] = {
#include "probe/probes.def"
	NULL
};
#undef PROBE

const struct probe *probe_find(const char *name)
{
	for (size_t i = 0; probes[i]; i++)
		if (strcmp(probes[i]->name, name) == 0)
			return probes[i];
	return NULL;
}

bool probe_wants_singles(const struct probe_env *env)
{
	return env->singles.sink.take || env->connections;
}
