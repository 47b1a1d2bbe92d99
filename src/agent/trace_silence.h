/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/options.h"
#include "base/strbuf.h"
#include "model/snapshot.h"

/*
 * Adds a sentence on why a trace with the settings @c has shown nothing so far, by what was counted
 * meanwhile. Pure.
 */
void trace_silence(const struct config *c, const struct snapshot *s, struct strbuf *out);
