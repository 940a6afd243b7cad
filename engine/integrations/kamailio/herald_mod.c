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
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "../../core/cfg/cfg_struct.h"
#include "../../core/dprint.h"
#include "../../core/mem/shm.h"
#include "../../core/mod_fix.h"
#include "../../core/parser/parse_date.h"
#include "../../core/pt.h"
#include "../../core/pvar.h"
#include "../../core/route.h"
#include "../../core/rpc_lookup.h"
#include "../../core/sr_module.h"

#include "herald_mod.h"

MODULE_VERSION

static int mod_init(void);
static int child_init(int rank);
static int set_property(modparam_t type, void *value);
static int set_certificate(modparam_t type, void *value);
static int w_place(sip_msg_t *msg, char *orig, char *dest, char *attestation, char *route);
static int w_check(sip_msg_t *msg, char *orig, char *dest, char *route);
static int w_gateway_store(sip_msg_t *msg, char *route);
static int w_gateway_fetch(sip_msg_t *msg, char *route);
static void rpc_reload(rpc_t *rpc, void *context);
static int pv_parse_name(pv_spec_t *spec, str *name);
static int pv_read(sip_msg_t *msg, pv_param_t *param, pv_value_t *value);

struct tm_binds hm_tm;
pairs hm_properties;
pairs hm_certificates;
int hm_sockets[2] = {-1, -1};
counts hm_counts;

static stat_export_t stats[] = {
	{"placed", 0, &hm_counts.placed},
	{"not_placed", 0, &hm_counts.not_placed},
	{"accepted", 0, &hm_counts.accepted},
	{"rejected", 0, &hm_counts.rejected},
	{"none", 0, &hm_counts.none},
	{"unknown", 0, &hm_counts.unknown},
	{"failed", 0, &hm_counts.failed},
	{"refused", 0, &hm_counts.refused},
	{"waiting", STAT_NO_RESET, &hm_counts.waiting},
	{"late", 0, &hm_counts.late},
	{"reloaded", 0, &hm_counts.reloaded},
	{"not_reloaded", 0, &hm_counts.not_reloaded},
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

static const char *reload_text[] = {
	"Reads again the files that the engine's properties and the module's certificates name.", 0,
};

static rpc_export_t rpcs[] = {
	{"herald.reload", rpc_reload, reload_text, 0},
	{0, 0, 0, 0},
};

struct module_exports exports = {
	"herald", DEFAULT_DLFLAGS, commands, params, 0, variables, 0, mod_init, child_init, 0,
};

/* ---- Workers: jobs out -------------------------------------------------------------------------------------------- */

/* Takes name=value into a table. */
static int set_pair(pairs *table, const char *value)
{
	char *text = strdup(value), *equals;
	if(text == NULL || (equals = strchr(text, '=')) == NULL) {
		LM_ERR("%s: write it as name=value\n", value);
		free(text);
		return -1;
	}
	if(table->count == PAIRS_MAX) {
		LM_ERR("%s: more than %d of them\n", value, PAIRS_MAX);
		free(text);
		return -1;
	}
	*equals = '\0';
	table->pair[table->count].name = text;
	table->pair[table->count].name_len = (size_t)(equals - text);
	table->pair[table->count].value = equals + 1;
	table->pair[table->count].value_len = strlen(equals + 1);
	table->count++;
	return 0;
}

static int set_property(modparam_t type, void *value)
{
	(void)type;
	return set_pair(&hm_properties, value);
}

static int set_certificate(modparam_t type, void *value)
{
	(void)type;
	return set_pair(&hm_certificates, value);
}

static int mod_init(void)
{
	if(load_tm_api(&hm_tm) < 0) {
		LM_ERR("load the module tm before this one\n");
		return -1;
	}
	if(register_module_stats(exports.name, stats) != 0)
		return -1;
	if(rpc_register_array(rpcs) != 0) {
		LM_ERR("cannot register the commands\n");
		return -1;
	}
	/* Whoever sends finds a full socket full instead of waiting. */
	if(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, hm_sockets) < 0) {
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
	if(value->len == 0)
		return place;
	memcpy(j->text + j->len, value->s, value->len);
	j->len += value->len;
	return place;
}

/* What a function answers whose call goes on without the engine. */
static int refused(void)
{
	update_stat(hm_counts.refused, 1);
	return -1;
}

/* A new job with room for `bytes` of text, or NULL. */
static job *job_new(job_kind kind, size_t bytes)
{
	job *j;
	if(bytes > JOB_BYTES_MAX) {
		LM_ERR("%zu bytes of request: %d are taken at most\n", bytes, JOB_BYTES_MAX);
		return NULL;
	}
	if((j = shm_malloc(sizeof(job) + bytes)) == NULL) {
		SHM_MEM_ERROR;
		return NULL;
	}
	memset(j, 0, sizeof(*j));
	j->kind = kind;
	return j;
}

/* The route's index in main_rt, or -1. */
static int route_of(const str *route)
{
	char name[64];
	int index;
	if(route->len <= 0 || route->len >= (int)sizeof(name)) {
		LM_ERR("a route's name of %d bytes\n", route->len);
		return -1;
	}
	memcpy(name, route->s, route->len);
	name[route->len] = '\0';
	index = route_lookup(&main_rt, name);
	if(index < 0 || main_rt.rlist[index] == NULL) {
		LM_ERR("there is no route[%s] to go on with\n", name);
		return -1;
	}
	return index;
}

/* Hands a job to the engine's process, which frees it; or answers -1 at once, and it is the caller's. */
static int hand_over(job *j)
{
	return send(hm_sockets[1], &j, sizeof(j), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(j) ? 0 : -1;
}

/* 1: the request has a transaction, which is the current one. 0: it was a retransmission, and was absorbed. */
static int has_transaction(sip_msg_t *msg)
{
	tm_cell_t *t = hm_tm.t_gett();
	int made;
	if(t != NULL && t != T_UNDEFINED)
		return 1;
	if((made = hm_tm.t_newtran(msg)) < 0)
		LM_ERR("cannot make a transaction\n");
	return made > 0 ? 1 : made;
}

/* Suspends the transaction and hands the job over. 0 ends the script's run here; below zero it goes on. */
static int submit(sip_msg_t *msg, job *j, const str *route)
{
	int has = -1;
	if((j->route = route_of(route)) < 0 || (has = has_transaction(msg)) <= 0)
		goto not_taken;
	has = -1;
	/* Above zero: the caller has given up meanwhile. */
	if(hm_tm.t_suspend(msg, &j->hash_index, &j->label) != 0) {
		LM_INFO("the transaction cannot be suspended\n");
		goto not_taken;
	}
	/* Before the engine's process can count it as no longer waiting. */
	update_stat(hm_counts.waiting, 1);
	if(hand_over(j) < 0) {
		LM_WARN("too many calls wait for the engine\n");
		update_stat(hm_counts.waiting, -1);
		hm_tm.t_cancel_suspend(j->hash_index, j->label);
		/* tm leaves this flag (5.6), and drops every reply while it is set. Nobody else continues this transaction. */
		hm_tm.t_gett()->flags &= ~T_ASYNC_SUSPENDED;
		goto not_taken;
	}
	return 0;

not_taken:
	shm_free(j);
	return has < 0 ? refused() : has;
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
	if(values(msg, sources, v, 4) < 0)
		return refused();
	if(v[2].len != 1) {
		LM_ERR("an attestation of %d bytes: write A, B or C\n", v[2].len);
		return refused();
	}
	if((j = job_new(PLACE, (size_t)v[0].len + v[1].len)) == NULL)
		return refused();
	j->orig = keep(j, &v[0]);
	j->dest = keep(j, &v[1]);
	j->attestation = v[2].s[0];
	return submit(msg, j, &v[3]);
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
		return refused();
	if(parse_headers(msg, HDR_EOH_F, 0) < 0) {
		LM_ERR("the request's header cannot be read\n");
		return refused();
	}
	if(msg->callid != NULL)
		call_id = msg->callid->body;
	bytes = (size_t)v[0].len + v[1].len + call_id.len;
	for(field = msg->headers; field != NULL; field = field->next)
		bytes += is_identity(field) ? (size_t)field->body.len : 0;
	if((j = job_new(CHECK, bytes)) == NULL)
		return refused();
	j->orig = keep(j, &v[0]);
	j->dest = keep(j, &v[1]);
	j->call_id = keep(j, &call_id);
	j->date_s = date_of(msg);
	for(field = msg->headers; field != NULL && j->identity_count < IDENTITIES_MAX; field = field->next) {
		if(is_identity(field))
			j->identity[j->identity_count++] = keep(j, &field->body);
	}
	return submit(msg, j, &v[2]);
}

/* A job that takes the request as it was received. */
static int submit_request(sip_msg_t *msg, job_kind kind, char *route)
{
	str name, sip = {msg->buf, (int)msg->len};
	job *j;
	if(values(msg, &route, &name, 1) < 0 || (j = job_new(kind, (size_t)sip.len)) == NULL)
		return refused();
	j->sip = keep(j, &sip);
	return submit(msg, j, &name);
}

static int w_gateway_store(sip_msg_t *msg, char *route)
{
	return submit_request(msg, GATEWAY_STORE, route);
}

static int w_gateway_fetch(sip_msg_t *msg, char *route)
{
	return submit_request(msg, GATEWAY_FETCH, route);
}

/* ---- Commands of the operator -------------------------------------------------------------------------------------- */

static void rpc_reload(rpc_t *rpc, void *context)
{
	job *j = job_new(RELOAD, 0);
	if(j == NULL || hand_over(j) < 0) {
		if(j != NULL)
			shm_free(j);
		rpc->fault(context, 503, "Too many calls wait for the engine: try again");
		return;
	}
	rpc->rpl_printf(context, "asked for: the log and the statistics say what came of it");
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
	if(hm_current == NULL)
		return pv_get_null(msg, param, value);
	switch(param->pvn.u.isname.name.n) {
		case V_STATUS:
			if(herald_status_name(hm_current->status, status, sizeof(status), NULL) != HERALD_OK)
				return pv_get_null(msg, param, value);
			return text_value(msg, param, value, status);
		case V_VERDICT: return text_value(msg, param, value, verdict_name(hm_current->verdict));
		case V_CODE: return pv_get_sintval(msg, param, value, hm_current->code);
		case V_ATTESTATION:
			letter[0] = (char)hm_current->attestation;
			return text_value(msg, param, value, letter);
		case V_COUNT: return pv_get_sintval(msg, param, value, (int)hm_current->count);
		case V_REASON: return text_value(msg, param, value, hm_current->reason);
		case V_PASSPORT: return text_value(msg, param, value, hm_current->passport);
		case V_DETAILS: return text_value(msg, param, value, hm_current->details);
		case V_IDENTITY: return text_value(msg, param, value, hm_current->identity);
		default: return pv_get_null(msg, param, value);
	}
}

/* ---- The start ------------------------------------------------------------------------------------------------------ */

static int child_init(int rank)
{
	int pid;
	if(rank != PROC_MAIN)
		return 0;
	/* Routes go on in the new process, so it needs what other modules make for a process in their child_init. */
	if(hm_prepare() < 0 || (pid = fork_process(PROC_RPC, "Herald", 1)) < 0)
		return -1;
	if(pid == 0) {
		if(cfg_child_init())
			return -1;
		hm_run();
	}
	return 0;
}
