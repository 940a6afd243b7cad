/*
 * What the parts of the module share: herald_mod.c runs in Kamailio's workers, herald_engine.c in the one process that
 * owns the engine.
 *
 * SPDX-License-Identifier: Apache-2.0 OR MIT
 */
#ifndef HERALD_MOD_H
#define HERALD_MOD_H

#include <stdint.h>

#include "../../core/counters.h"
#include "../tm/tm_load.h"

#include <herald.h>

/* Settings of the engine, and certificate chains, that one configuration may have. More are refused. */
#define PAIRS_MAX 64
/* Identity header fields of a request that are looked at. What is beyond is left aside: each costs a signature. */
#define IDENTITIES_MAX 16
/* Bytes of one job: a SIP request and what belongs to it. A larger one is refused. */
#define JOB_BYTES_MAX 65536

/* RELOAD is the only one that no call waits for. */
typedef enum { PLACE, CHECK, GATEWAY_STORE, GATEWAY_FETCH, RELOAD } job_kind;

/* A text inside a job, by its place: jobs live in shared memory. */
typedef struct {
	unsigned int at;
	unsigned int len;
} span;

/* name=value, as the configuration gives them. */
typedef struct {
	struct herald_property pair[PAIRS_MAX];
	size_t count;
} pairs;

/* What a worker asks for. In shared memory; the engine's process frees it. */
typedef struct {
	job_kind kind;
	unsigned int hash_index; /* names the suspended transaction */
	unsigned int label;
	int route;               /* of main_rt, to go on with */
	int attestation;
	int64_t date_s;
	span orig, dest, call_id, sip;
	span identity[IDENTITIES_MAX];
	unsigned int identity_count;
	unsigned int len;        /* bytes of text used */
	char text[];
} job;

/* What came of it. In the engine process's own memory: made on a thread of the engine, read by the main thread. */
typedef struct result {
	struct result *next;
	unsigned int hash_index;
	unsigned int label;
	int route;
	job_kind kind;
	int status;
	int verdict;             /* one of HERALD_VERDICT_*, or -1 for a call that was placed */
	int code;
	int attestation;
	unsigned int count;
	char *reason, *passport, *details, *identity; /* identity: whole header fields, ready to append */
} result;

/* The module's statistics, each in shared memory. README.md says what they count. */
typedef struct {
	stat_var *placed, *not_placed, *accepted, *rejected, *none, *unknown, *failed, *refused, *waiting, *late, *reloaded,
			*not_reloaded;
} counts;

/* Set before the first fork, and not changed since. */
extern struct tm_binds hm_tm;
extern pairs hm_properties;
extern pairs hm_certificates; /* name: the x5u, value: the file */
extern int hm_sockets[2]; /* workers write to [1], the engine's process reads from [0] */
extern counts hm_counts;

/* What $herald(...) shows while a route goes on; NULL elsewhere. */
extern const result *hm_current;

/* Makes what the engine's process is woken by. Before its fork. */
int hm_prepare(void);

/* The engine's process, until it is told to end. */
void hm_run(void) __attribute__((noreturn));

#endif
