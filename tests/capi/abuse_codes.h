/* Which codes each function may answer besides HERALD_OK, as the header and docs/CAPI.md say. abuse.c calls them; run.sh
 * holds their names against include/symbols.txt. */
#ifndef HERALD_TEST_ABUSE_CODES_H
#define HERALD_TEST_ABUSE_CODES_H

#define CODES_MAX 20

struct function {
    const char *name;
    herald_status (*run)(struct call *call);
    herald_status codes[CODES_MAX];
};

/* Of every function that takes a handle. */
#define HANDLE HERALD_NULL_ARGUMENT, HERALD_BAD_HANDLE, HERALD_CLOSED
#define TEXTS HERALD_NOT_UTF8, HERALD_BAD_SIZE
#define BUFFER HERALD_BUFFER_TOO_SMALL
/* Of those that begin a call. */
#define BEGINS                                                                                                     \
    HANDLE, TEXTS, HERALD_STRUCT_SIZE, HERALD_BAD_VALUE, HERALD_BAD_NUMBER, HERALD_WRONG_STATE, HERALD_BUSY,        \
        HERALD_LIMIT

static const struct function functions[] = {
    {"herald_abi_version", versions, {0}},
    {"herald_version", versions, {0}},
    {"herald_property_count", property_text, {HERALD_NULL_ARGUMENT, HERALD_OUT_OF_RANGE, BUFFER}},
    {"herald_property_text", property_text, {HERALD_NULL_ARGUMENT, HERALD_OUT_OF_RANGE, BUFFER}},
    {"herald_status_name", status_name, {HERALD_NULL_ARGUMENT, HERALD_OUT_OF_RANGE, BUFFER}},
    {"herald_engine_open", open_one,
     {HANDLE, TEXTS, HERALD_STRUCT_SIZE, HERALD_UNKNOWN_PROPERTY, HERALD_BAD_VALUE, HERALD_LIMIT, HERALD_IN_USE}},
    {"herald_client_open", open_client,
     {HERALD_NULL_ARGUMENT, TEXTS, HERALD_STRUCT_SIZE, HERALD_BAD_VALUE, HERALD_LIMIT}},
    {"herald_engine_start", start, {HANDLE, HERALD_WRONG_STATE, HERALD_NETWORK, HERALD_LIMIT}},
    {"herald_engine_start_hosted", start_hosted,
     {HANDLE, HERALD_WRONG_STATE, HERALD_BAD_VALUE, HERALD_NETWORK, HERALD_LIMIT}},
    {"herald_engine_descriptor", descriptor, {HANDLE, HERALD_WRONG_STATE}},
    {"herald_engine_turn", turn, {HANDLE, HERALD_WRONG_STATE, HERALD_WRONG_THREAD}},
    {"herald_engine_address", address, {HANDLE, HERALD_OUT_OF_RANGE, BUFFER}},
    {"herald_engine_drain", drain, {HANDLE, HERALD_WRONG_THREAD}},
    {"herald_engine_drain_begin", drain_begin, {HANDLE, HERALD_WRONG_STATE, HERALD_WRONG_THREAD}},
    {"herald_engine_reload", reload, {HANDLE, HERALD_BAD_VALUE, HERALD_WRONG_STATE}},
    {"herald_engine_stop", stop, {HANDLE, HERALD_WRONG_THREAD}},
    {"herald_engine_close", close_one, {HANDLE, HERALD_WRONG_THREAD}},
    {"herald_store", store,
     {HANDLE, HERALD_BAD_NUMBER, HERALD_BAD_SIZE, HERALD_FULL, HERALD_BUSY, HERALD_WRONG_STATE, BUFFER}},
    {"herald_retrieve", retrieve, {HANDLE, HERALD_BAD_NUMBER, HERALD_BUSY, HERALD_WRONG_STATE, HERALD_LIMIT}},
    {"herald_store_batch", store_batch, {HANDLE, HERALD_BAD_SIZE, HERALD_BUSY, HERALD_WRONG_STATE}},
    {"herald_store_messages", store_messages,
     {HANDLE, HERALD_BAD_SIZE, HERALD_BAD_VALUE, HERALD_BUSY, HERALD_WRONG_STATE}},
    {"herald_retrieve_batch", retrieve_batch,
     {HANDLE, HERALD_BAD_NUMBER, HERALD_BAD_SIZE, HERALD_BUSY, HERALD_WRONG_STATE, HERALD_LIMIT}},
    {"herald_items_count", items_count, {HANDLE}},
    {"herald_items_id", items_id, {HANDLE, HERALD_OUT_OF_RANGE, BUFFER}},
    {"herald_items_body", items_body, {HANDLE, HERALD_OUT_OF_RANGE, BUFFER}},
    {"herald_items_free", items_free, {HANDLE}},
    {"herald_error_message", error_message, {HANDLE, BUFFER}},
    {"herald_error_status", error_status, {HANDLE}},
    {"herald_error_free", error_free, {HANDLE}},
    {"herald_engine_stats", stats, {HANDLE, HERALD_LIMIT}},
    {"herald_stats_count", stats_count, {HANDLE}},
    {"herald_stats_name", stats_name, {HANDLE, HERALD_OUT_OF_RANGE, BUFFER}},
    {"herald_stats_value", stats_value, {HANDLE, HERALD_OUT_OF_RANGE}},
    {"herald_stats_find", stats_find, {HANDLE, TEXTS, HERALD_OUT_OF_RANGE}},
    {"herald_stats_text", stats_text, {HANDLE, BUFFER}},
    {"herald_stats_free", stats_free, {HANDLE}},
    {"herald_subscribe", subscribe,
     {HANDLE, HERALD_STRUCT_SIZE, HERALD_BAD_NUMBER, HERALD_BAD_SIZE, HERALD_BAD_VALUE, HERALD_WRONG_STATE, HERALD_LIMIT}},
    {"herald_subscription_left_out", subscription_left_out, {HANDLE}},
    {"herald_subscription_close", subscription_close, {HANDLE}},
    {"herald_place", place, {BEGINS}},
    {"herald_check", check, {BEGINS}},
    {"herald_gateway_store", gateway_store, {BEGINS}},
    {"herald_gateway_fetch", gateway_fetch, {BEGINS}},
    {"herald_discover", discover, {BEGINS}},
    {"herald_call_cancel", call_cancel, {HANDLE}},
    {"herald_call_free", call_free, {HANDLE}},
    {"herald_certificate_supplier_set", supplier_set, {HANDLE, HERALD_BAD_VALUE, HERALD_WRONG_STATE}},
    {"herald_certificate_keep", certificate_keep, {HANDLE, TEXTS, HERALD_BAD_VALUE, HERALD_WRONG_STATE}},
    {"herald_plugin_register", plugin_register, {HANDLE, HERALD_BAD_VALUE, HERALD_WRONG_STATE}},
    {"herald_plugin_replace", plugin_replace, {HANDLE, TEXTS, HERALD_BAD_VALUE, HERALD_WRONG_STATE}},
    {"herald_key_generate", key_generate, {HERALD_NULL_ARGUMENT, BUFFER}},
    {"herald_key_public", key_public, {HERALD_NULL_ARGUMENT, TEXTS, HERALD_BAD_KEY, BUFFER}},
    {"herald_seal", seal, {HERALD_NULL_ARGUMENT, TEXTS, HERALD_BAD_KEY, HERALD_BAD_NUMBER, BUFFER}},
    {"herald_open", open_sealed,
     {HERALD_NULL_ARGUMENT, TEXTS, HERALD_BAD_KEY, HERALD_BAD_NUMBER, HERALD_DOES_NOT_OPEN, BUFFER}},
};

#endif
