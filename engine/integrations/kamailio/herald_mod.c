/*
 * herald: STIR out of band (RFC 8816) for Kamailio.
 *
 * SPDX-License-Identifier: Apache-2.0 OR MIT
 *
 * Kamailio forks its workers, and an engine's threads do not survive a fork. So one process of its own owns the engine:
 * a worker suspends the transaction, sends the job over a socket and goes on with other messages; the engine's process
 * continues the transaction with the route that the script named, where $herald(...) says what came of it.
 *
 * A script that cannot have an answer gets a return code below zero at once, and the transaction was not suspended.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../core/cfg/cfg_struct.h"
#include "../../core/counters.h"
#include "../../core/dprint.h"
#include "../../core/mem/shm.h"
#include "../../core/mod_fix.h"
#include "../../core/parser/parse_date.h"
#include "../../core/pt.h"
#include "../../core/pvar.h"
#include "../../core/route.h"
#include "../../core/sr_module.h"
#include "../tm/tm_load.h"

#include <herald.h>

MODULE_VERSION

/* Settings of the engine that one configuration may have. More are refused. */
#define PROPERTIES_MAX 64
/* Certificate chains that one configuration may have. More are refused. */
#define CERTIFICATES_MAX 64
/* Bytes of one of them. */
#define CERTIFICATE_BYTES_MAX 65536
/* A chain is kept for a day at most, so it is given again this often. */
#define CERTIFICATES_PERIOD_S 43200
/* Identity header fields of a request that are looked at. What is beyond is left aside: each costs a signature. */
#define IDENTITIES_MAX 16
/* Bytes of one job: a SIP request and what belongs to it. A larger one is refused. */
#define JOB_BYTES_MAX 65536
/* Jobs that the engine's process takes before it looks for results again. */
#define JOBS_PER_TURN 64

typedef enum { PLACE, CHECK, GATEWAY_STORE, GATEWAY_FETCH } job_kind;

/* A text inside a job, by its place: jobs live in shared memory. */
typedef struct {
	unsigned int at;
	unsigned int len;
} span;

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

static int mod_init(void);
static int child_init(int rank);
static int set_property(modparam_t type, void *value);
static int set_certificate(modparam_t type, void *value);
static int w_place(sip_msg_t *msg, char *orig, char *dest, char *attestation, char *route);
static int w_check(sip_msg_t *msg, char *orig, char *dest, char *route);
static int w_gateway_store(sip_msg_t *msg, char *route);
static int w_gateway_fetch(sip_msg_t *msg, char *route);
static int pv_parse_name(pv_spec_t *spec, str *name);
static int pv_read(sip_msg_t *msg, pv_param_t *param, pv_value_t *value);

static struct tm_binds tm;
static struct herald_property properties[PROPERTIES_MAX];
static size_t property_count;
static struct herald_property certificates[CERTIFICATES_MAX]; /* name: the x5u, value: the file */
static size_t certificate_count;
static int sockets[2] = {-1, -1}; /* workers write to [1], the engine's process reads from [0] */

/* In the engine's process. */
static herald_engine *engine;
static int wake_fd = -1; /* results wait, or the process is to end */
static pthread_mutex_t results_lock = PTHREAD_MUTEX_INITIALIZER;
static result *results_first, **results_last = &results_first;
static result *reports_first, **reports_last = &reports_first; /* lines for the log: code is the level */
static volatile sig_atomic_t is_ending;
static result *current; /* what $herald(...) shows while a route goes on */

static stat_var *count_placed, *count_not_placed, *count_accepted, *count_rejected, *count_none, *count_unknown,
		*count_failed, *count_refused;

static stat_export_t stats[] = {
	{"placed", 0, &count_placed},         /* calls whose PASSporTs a service has acknowledged */
	{"not_placed", 0, &count_not_placed},
	{"accepted", 0, &count_accepted},     /* calls checked, by verdict */
	{"rejected", 0, &count_rejected},
	{"none", 0, &count_none},
	{"unknown", 0, &count_unknown},
	{"failed", 0, &count_failed},         /* checks that could not look at everything */
	{"refused", 0, &count_refused},       /* jobs that were not taken */
	{0, 0, 0},
};

static cmd_export_t commands[] = {
	{"herald_place", (cmd_function)w_place, 4, fixup_spve_all, 0, REQUEST_ROUTE | FAILURE_ROUTE},
	{"herald_check", (cmd_function)w_check, 3, fixup_spve_all, 0, REQUEST_ROUTE | FAILURE_ROUTE},
	{"herald_gateway_store", (cmd_function)w_gateway_store, 1, fixup_spve_all, 0, REQUEST_ROUTE | FAILURE_ROUTE},
	{"herald_gateway_fetch", (cmd_function)w_gateway_fetch, 1, fixup_spve_all, 0, REQUEST_ROUTE | FAILURE_ROUTE},
	{0, 0, 0, 0, 0, 0},
};

static param_export_t params[] = {
	{"property", PARAM_STRING | USE_FUNC_PARAM, (void *)set_property},
	{"certificate", PARAM_STRING | USE_FUNC_PARAM, (void *)set_certificate},
	{0, 0, 0},
};

static pv_export_t variables[] = {
	{{"herald", sizeof("herald") - 1}, PVT_OTHER, pv_read, 0, pv_parse_name, 0, 0, 0},
	{{0, 0}, 0, 0, 0, 0, 0, 0, 0},
};

struct module_exports exports = {
	"herald", DEFAULT_DLFLAGS, commands, params, 0, variables, 0, mod_init, child_init, 0,
};

/* ---- Workers: jobs out -------------------------------------------------------------------------------------------- */

/* Takes name=value into a table. */
static int set_pair(struct herald_property *table, size_t *count, size_t count_max, const char *value)
{
	char *text = strdup(value), *equals;
	if(text == NULL || (equals = strchr(text, '=')) == NULL) {
		LM_ERR("%s: write it as name=value\n", value);
		free(text);
		return -1;
	}
	if(*count == count_max) {
		LM_ERR("%s: more than %zu of them\n", value, count_max);
		free(text);
		return -1;
	}
	*equals = '\0';
	table[*count].name = text;
	table[*count].name_len = (size_t)(equals - text);
	table[*count].value = equals + 1;
	table[*count].value_len = strlen(equals + 1);
	(*count)++;
	return 0;
}

static int set_property(modparam_t type, void *value)
{
	(void)type;
	return set_pair(properties, &property_count, PROPERTIES_MAX, value);
}

static int set_certificate(modparam_t type, void *value)
{
	(void)type;
	return set_pair(certificates, &certificate_count, CERTIFICATES_MAX, value);
}

static int mod_init(void)
{
	if(load_tm_api(&tm) < 0) {
		LM_ERR("load the module tm before this one\n");
		return -1;
	}
	if(register_module_stats(exports.name, stats) != 0)
		return -1;
	/* Whoever sends finds a full socket full instead of waiting. */
	if(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) < 0) {
		LM_ERR("no socket pair: %s\n", strerror(errno));
		return -1;
	}
	register_procs(1);
	cfg_register_child(1);
	return 0;
}

/* Copies `value` into the job. Whether it fits was seen before. */
static span keep(job *j, const str *value)
{
	span place = {j->len, (unsigned int)value->len};
	memcpy(j->text + j->len, value->s, value->len);
	j->len += value->len;
	return place;
}

/* A new job with room for `bytes` of text, or NULL. */
static job *job_new(job_kind kind, size_t bytes, const str *route)
{
	job *j;
	char name[64];
	if(bytes > JOB_BYTES_MAX || route->len <= 0 || route->len >= (int)sizeof(name)) {
		LM_ERR("%zu bytes of request, a route name of %d bytes: too large\n", bytes, route->len);
		return NULL;
	}
	memcpy(name, route->s, route->len);
	name[route->len] = '\0';
	if((j = shm_malloc(sizeof(job) + bytes)) == NULL) {
		SHM_MEM_ERROR;
		return NULL;
	}
	memset(j, 0, sizeof(*j));
	j->kind = kind;
	j->route = route_lookup(&main_rt, name);
	if(j->route < 0 || main_rt.rlist[j->route] == NULL) {
		LM_ERR("there is no route[%s] to go on with\n", name);
		shm_free(j);
		return NULL;
	}
	return j;
}

/* Suspends the transaction and hands the job over. 0 ends the script's run here; below zero it goes on. */
static int submit(sip_msg_t *msg, job *j)
{
	tm_cell_t *t = tm.t_gett();
	if(t == NULL || t == T_UNDEFINED) {
		if(tm.t_newtran(msg) < 0) {
			LM_ERR("cannot make a transaction\n");
			goto refused;
		}
		t = tm.t_gett();
		if(t == NULL || t == T_UNDEFINED)
			goto refused;
	}
	if(tm.t_suspend(msg, &j->hash_index, &j->label) != 0) {
		LM_ERR("cannot suspend the transaction\n");
		goto refused;
	}
	if(send(sockets[1], &j, sizeof(j), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(j)) {
		LM_WARN("too many calls wait for the engine\n");
		tm.t_cancel_suspend(j->hash_index, j->label);
		goto refused;
	}
	return 0;

refused:
	update_stat(count_refused, 1);
	shm_free(j);
	return -1;
}

/* The values of parameters, in order. */
static int values(sip_msg_t *msg, char **sources, str *targets, int count)
{
	int i;
	for(i = 0; i < count; i++) {
		if(fixup_get_svalue(msg, (gparam_t *)sources[i], &targets[i]) != 0) {
			LM_ERR("parameter %d has no value\n", i + 1);
			return -1;
		}
	}
	return 0;
}

static int w_place(sip_msg_t *msg, char *orig, char *dest, char *attestation, char *route)
{
	char *sources[] = {orig, dest, attestation, route};
	str v[4];
	job *j;
	if(values(msg, sources, v, 4) < 0 || v[2].len != 1)
		return -1;
	if((j = job_new(PLACE, (size_t)v[0].len + v[1].len, &v[3])) == NULL)
		return -1;
	j->orig = keep(j, &v[0]);
	j->dest = keep(j, &v[1]);
	j->attestation = v[2].s[0];
	return submit(msg, j);
}

/* Whether a header field is an Identity, also in its compact form (RFC 8224). */
static int is_identity(const struct hdr_field *field)
{
	return (field->name.len == 8 && strncasecmp(field->name.s, "Identity", 8) == 0)
		   || (field->name.len == 1 && (field->name.s[0] | 0x20) == 'y');
}

static int64_t date_of(sip_msg_t *msg)
{
	struct tm when;
	if(msg->date == NULL || parse_date_header(msg) < 0)
		return 0;
	when = get_date(msg)->date;
	return (int64_t)timegm(&when);
}

static int w_check(sip_msg_t *msg, char *orig, char *dest, char *route)
{
	char *sources[] = {orig, dest, route};
	struct hdr_field *field;
	size_t bytes;
	str v[3], call_id = {0, 0};
	job *j;
	if(values(msg, sources, v, 3) < 0)
		return -1;
	if(parse_headers(msg, HDR_EOH_F, 0) < 0) {
		LM_ERR("the request's header cannot be read\n");
		return -1;
	}
	if(msg->callid != NULL)
		call_id = msg->callid->body;
	bytes = (size_t)v[0].len + v[1].len + call_id.len;
	for(field = msg->headers; field != NULL; field = field->next)
		bytes += is_identity(field) ? (size_t)field->body.len : 0;
	if((j = job_new(CHECK, bytes, &v[2])) == NULL)
		return -1;
	j->orig = keep(j, &v[0]);
	j->dest = keep(j, &v[1]);
	j->call_id = keep(j, &call_id);
	j->date_s = date_of(msg);
	for(field = msg->headers; field != NULL && j->identity_count < IDENTITIES_MAX; field = field->next) {
		if(is_identity(field))
			j->identity[j->identity_count++] = keep(j, &field->body);
	}
	return submit(msg, j);
}

/* A job that takes the request as it was received. */
static int submit_request(sip_msg_t *msg, job_kind kind, char *route)
{
	str name, sip = {msg->buf, (int)msg->len};
	job *j;
	if(values(msg, &route, &name, 1) < 0 || (j = job_new(kind, (size_t)sip.len, &name)) == NULL)
		return -1;
	j->sip = keep(j, &sip);
	return submit(msg, j);
}

static int w_gateway_store(sip_msg_t *msg, char *route)
{
	return submit_request(msg, GATEWAY_STORE, route);
}

static int w_gateway_fetch(sip_msg_t *msg, char *route)
{
	return submit_request(msg, GATEWAY_FETCH, route);
}

/* ---- $herald(name) ------------------------------------------------------------------------------------------------- */

static const char *const names[] = {
	"status", "verdict", "code", "attestation", "count", "reason", "passport", "details", "identity",
};
enum {
	V_STATUS, V_VERDICT, V_CODE, V_ATTESTATION, V_COUNT, V_REASON, V_PASSPORT, V_DETAILS, V_IDENTITY, NAMES
};

static int pv_parse_name(pv_spec_t *spec, str *name)
{
	int i;
	for(i = 0; i < NAMES; i++) {
		if((int)strlen(names[i]) == name->len && strncmp(names[i], name->s, name->len) == 0) {
			spec->pvp.pvn.type = PV_NAME_INTSTR;
			spec->pvp.pvn.u.isname.type = 0;
			spec->pvp.pvn.u.isname.name.n = i;
			return 0;
		}
	}
	LM_ERR("there is no $herald(%.*s)\n", name->len, name->s);
	return -1;
}

static const char *verdict_name(int verdict)
{
	switch(verdict) {
		case HERALD_VERDICT_ACCEPT: return "accept";
		case HERALD_VERDICT_REJECT: return "reject";
		case HERALD_VERDICT_NONE: return "none";
		case -1: return "";
		default: return "unknown";
	}
}

static int text_value(sip_msg_t *msg, pv_param_t *param, pv_value_t *value, const char *text)
{
	str s = {(char *)text, text == NULL ? 0 : (int)strlen(text)};
	return s.len == 0 ? pv_get_null(msg, param, value) : pv_get_strval(msg, param, value, &s);
}

/* Outside a route that goes on all are $null. */
static int pv_read(sip_msg_t *msg, pv_param_t *param, pv_value_t *value)
{
	static char letter[2], status[64];
	if(current == NULL)
		return pv_get_null(msg, param, value);
	switch(param->pvn.u.isname.name.n) {
		case V_STATUS:
			if(herald_status_name(current->status, status, sizeof(status), NULL) != HERALD_OK)
				return pv_get_null(msg, param, value);
			return text_value(msg, param, value, status);
		case V_VERDICT: return text_value(msg, param, value, verdict_name(current->verdict));
		case V_CODE: return pv_get_sintval(msg, param, value, current->code);
		case V_ATTESTATION:
			letter[0] = (char)current->attestation;
			return text_value(msg, param, value, letter);
		case V_COUNT: return pv_get_sintval(msg, param, value, (int)current->count);
		case V_REASON: return text_value(msg, param, value, current->reason);
		case V_PASSPORT: return text_value(msg, param, value, current->passport);
		case V_DETAILS: return text_value(msg, param, value, current->details);
		case V_IDENTITY: return text_value(msg, param, value, current->identity);
		default: return pv_get_null(msg, param, value);
	}
}

/* ---- The engine's process: results in ------------------------------------------------------------------------------ */

static void wake(void)
{
	uint64_t one = 1;
	/* A full counter wakes as well. */
	if(write(wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void append(result ***last, result *r)
{
	pthread_mutex_lock(&results_lock);
	r->next = NULL;
	**last = r;
	*last = &r->next;
	pthread_mutex_unlock(&results_lock);
	wake();
}

static result *take_all(result **first, result ***last)
{
	result *all;
	pthread_mutex_lock(&results_lock);
	all = *first;
	*first = NULL;
	*last = first;
	pthread_mutex_unlock(&results_lock);
	return all;
}

static void result_free(result *r)
{
	free(r->reason);
	free(r->passport);
	free(r->details);
	free(r->identity);
	free(r);
}

static char *copy(struct herald_text text)
{
	return text.len == 0 ? NULL : strndup(text.data, text.len);
}

/* The functions below run on threads of the engine: they touch nothing of Kamailio's. `user` is the result to fill. */

static void placed(const struct herald_placed *p, void *user)
{
	result *r = user;
	r->status = p->status;
	r->reason = copy(p->message);
	r->passport = copy(p->passport);
	r->count = p->stored_count;
	append(&results_last, r);
}

static void checked(const struct herald_checked *c, void *user)
{
	result *r = user;
	r->status = c->status;
	r->verdict = c->verdict;
	r->code = c->sip_code;
	r->attestation = c->attestation;
	r->reason = copy(c->reason);
	r->passport = copy(c->ppi);
	r->details = copy(c->details);
	append(&results_last, r);
}

static void gateway_stored(const struct herald_gateway_stored *s, void *user)
{
	result *r = user;
	r->status = s->status;
	r->code = s->sip_code;
	r->reason = copy(s->message);
	r->count = s->placed_count + s->present_count;
	append(&results_last, r);
}

/* One Identity header field for each value. */
static char *fields(const struct herald_text *values, size_t count)
{
	static const char before[] = "Identity: ", behind[] = "\r\n";
	size_t i, len = 0, each = sizeof(before) + sizeof(behind) - 2;
	char *text, *at;
	for(i = 0; i < count; i++)
		len += values[i].len + each;
	if(len == 0 || (text = malloc(len + 1)) == NULL)
		return NULL;
	for(i = 0, at = text; i < count; i++) {
		memcpy(at, before, sizeof(before) - 1);
		at += sizeof(before) - 1;
		memcpy(at, values[i].data, values[i].len);
		at += values[i].len;
		memcpy(at, behind, sizeof(behind) - 1);
		at += sizeof(behind) - 1;
	}
	*at = '\0';
	return text;
}

static void gateway_fetched(const struct herald_gateway_fetched *f, void *user)
{
	result *r = user;
	r->status = f->status;
	r->verdict = f->verdict;
	r->code = f->sip_code;
	r->reason = copy(f->reason);
	r->details = copy(f->details);
	r->count = (unsigned int)f->identity_count;
	r->identity = fields(f->identity_values, f->identity_count);
	append(&results_last, r);
}

static void report(int32_t level, const char *text, size_t len, void *user)
{
	result *r = calloc(1, sizeof(*r));
	(void)user;
	if(r == NULL)
		return;
	r->code = level;
	r->reason = strndup(text, len);
	append(&reports_last, r);
}

/* ---- The engine's process: its loop --------------------------------------------------------------------------------- */

static struct herald_text text_of(const job *j, span place)
{
	struct herald_text text = {j->text + place.at, place.len};
	return text;
}

static herald_status begin(const job *j, result *r, herald_error **error)
{
	struct herald_text identity[IDENTITIES_MAX];
	unsigned int i;
	switch(j->kind) {
		case PLACE: {
			struct herald_place_options o = {.struct_size = sizeof(o), .attestation = j->attestation};
			o.orig = text_of(j, j->orig);
			o.dest = text_of(j, j->dest);
			o.done = placed;
			o.user = r;
			return herald_place(engine, &o, NULL, error);
		}
		case CHECK: {
			struct herald_check_options o = {.struct_size = sizeof(o), .date_s = j->date_s};
			for(i = 0; i < j->identity_count; i++)
				identity[i] = text_of(j, j->identity[i]);
			o.orig = text_of(j, j->orig);
			o.dest = text_of(j, j->dest);
			o.call_id = text_of(j, j->call_id);
			o.identity_values = identity;
			o.identity_count = j->identity_count;
			o.done = checked;
			o.user = r;
			return herald_check(engine, &o, NULL, error);
		}
		case GATEWAY_STORE: {
			struct herald_gateway_store_options o = {.struct_size = sizeof(o)};
			o.sip = text_of(j, j->sip);
			o.done = gateway_stored;
			o.user = r;
			return herald_gateway_store(engine, &o, NULL, error);
		}
		default: {
			struct herald_gateway_fetch_options o = {.struct_size = sizeof(o)};
			o.sip = text_of(j, j->sip);
			o.done = gateway_fetched;
			o.user = r;
			return herald_gateway_fetch(engine, &o, NULL, error);
		}
	}
}

static char *words(const herald_error *error)
{
	char text[512];
	if(error == NULL || herald_error_message(error, text, sizeof(text), NULL) != HERALD_OK)
		return NULL;
	return strdup(text);
}

/* Begins a job. What could not be begun is a result at once. */
static void take_job(job *j)
{
	herald_error *error = NULL;
	herald_status status;
	result *r = calloc(1, sizeof(*r));
	if(r == NULL) {
		LM_CRIT("no memory: a call waits for its timer\n");
		shm_free(j);
		return;
	}
	r->hash_index = j->hash_index;
	r->label = j->label;
	r->route = j->route;
	r->kind = j->kind;
	r->verdict = j->kind == PLACE || j->kind == GATEWAY_STORE ? -1 : HERALD_VERDICT_UNKNOWN;
	status = begin(j, r, &error);
	shm_free(j);
	if(status != HERALD_OK) {
		r->status = status;
		r->reason = words(error);
		herald_error_free(error);
		append(&results_last, r);
	}
}

static void count_result(const result *r)
{
	if(r->kind == PLACE || r->kind == GATEWAY_STORE) {
		update_stat(r->status == HERALD_OK ? count_placed : count_not_placed, 1);
		return;
	}
	if(r->status != HERALD_OK)
		update_stat(count_failed, 1);
	switch(r->verdict) {
		case HERALD_VERDICT_ACCEPT: update_stat(count_accepted, 1); break;
		case HERALD_VERDICT_REJECT: update_stat(count_rejected, 1); break;
		case HERALD_VERDICT_NONE: update_stat(count_none, 1); break;
		default: update_stat(count_unknown, 1);
	}
}

/* Continues the transactions of all results, and prints what the engine reports. */
static void take_results(void)
{
	result *next, *r;
	uint64_t count;
	if(read(wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		LM_ERR("cannot read the wake descriptor: %s\n", strerror(errno));
	for(r = take_all(&reports_first, &reports_last); r != NULL; r = next) {
		next = r->next;
		if(r->code == HERALD_LEVEL_ERROR)
			LM_ERR("%s\n", r->reason);
		else if(r->code == HERALD_LEVEL_WARNING)
			LM_WARN("%s\n", r->reason);
		else
			LM_INFO("%s\n", r->reason);
		result_free(r);
	}
	for(r = take_all(&results_first, &results_last); r != NULL; r = next) {
		next = r->next;
		count_result(r);
		current = r;
		if(tm.t_continue(r->hash_index, r->label, main_rt.rlist[r->route]) < 0)
			LM_INFO("a call was over before its answer came\n");
		current = NULL;
		result_free(r);
	}
}

static void take_jobs(void)
{
	int i;
	job *j;
	for(i = 0; i < JOBS_PER_TURN; i++) {
		if(recv(sockets[0], &j, sizeof(j), MSG_DONTWAIT) != (ssize_t)sizeof(j))
			return;
		take_job(j);
	}
}

static void on_term(int signal)
{
	(void)signal;
	is_ending = 1;
	wake();
}

/* Gives the engine the chains that the configuration names, so that they need not be fetched. */
static void keep_certificates(void)
{
	static char pem[CERTIFICATE_BYTES_MAX];
	size_t i, len;
	for(i = 0; i < certificate_count; i++) {
		const struct herald_property *one = &certificates[i];
		herald_error *error = NULL;
		FILE *file = fopen(one->value, "r");
		len = file == NULL ? 0 : fread(pem, 1, sizeof(pem), file);
		if(file != NULL)
			fclose(file);
		if(herald_certificate_keep(engine, one->name, one->name_len, (const uint8_t *)pem, len,
				   2 * CERTIFICATES_PERIOD_S, &error) != HERALD_OK) {
			char *why = words(error);
			LM_ERR("%s: %s\n", one->value, why == NULL ? "" : why);
			free(why);
			herald_error_free(error);
		}
	}
}

/* Opens and starts the engine. Without one every job is answered with HERALD_BAD_HANDLE: calls go on, unproven. */
static void open_engine(void)
{
	struct herald_engine_options options = {.struct_size = sizeof(options)};
	herald_error *error = NULL;
	char *why;
	options.properties = properties;
	options.property_count = property_count;
	options.report = report;
	if(herald_engine_open(&options, &engine, &error) == HERALD_OK && herald_engine_start(engine, &error) == HERALD_OK)
		return;
	why = words(error);
	LM_CRIT("the engine does not start, calls go on without it: %s\n", why == NULL ? "" : why);
	free(why);
	herald_error_free(error);
}

static void run_engine(void)
{
	struct sigaction action;
	struct pollfd ready[2];
	time_t given_at = 0;
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_term;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	open_engine();
	ready[0] = (struct pollfd){.fd = sockets[0], .events = POLLIN};
	ready[1] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
	while(!is_ending) {
		if(time(NULL) - given_at >= CERTIFICATES_PERIOD_S) {
			keep_certificates();
			given_at = time(NULL);
		}
		if(poll(ready, 2, CERTIFICATES_PERIOD_S * 1000 / 2) < 0 && errno != EINTR) {
			LM_CRIT("poll: %s\n", strerror(errno));
			break;
		}
		cfg_update();
		take_results();
		take_jobs();
	}
	/* What is under way is told that it was cancelled, on the engine's threads; nobody continues it any more. */
	herald_engine_close(engine);
	_exit(0);
}

static int child_init(int rank)
{
	int pid;
	if(rank != PROC_MAIN)
		return 0;
	if((wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0) {
		LM_ERR("no event descriptor: %s\n", strerror(errno));
		return -1;
	}
	if((pid = fork_process(PROC_NOCHLDINIT, "Herald", 1)) < 0)
		return -1;
	if(pid == 0) {
		if(cfg_child_init())
			return -1;
		run_engine();
	}
	return 0;
}
