/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/*
 * Between the reading of samples and what is made of them. A sample's key is its labels but le: first
 * the values of destination_service_name, destination_workload, reporter and source_workload, each
 * with its NUL, then all others with their names. So keys sort by what they are added up for.
 */
enum mesh_kind { MESH_BUCKET, MESH_COUNT, MESH_SUM };

struct mesh_sample {
	char *key;
	size_t key_len;
	enum mesh_kind kind;
	double le, value; /* as they stand there: milliseconds */
};

/* Beyond it a double no longer holds every whole number. */
#define MESH_MAX_VALUE 9007199254740992.
