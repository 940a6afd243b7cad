/* A rate control plugin for Herald: the shape of one, around a stand-in for its mathematics.
 *
 *     cc -std=c11 -Wall -Wextra -fPIC -shared -I../../include tokens.c -o example-tokens.so
 *
 * A token is 98 bytes of input (RFC 9577) and a tag over them. The tags here are a keyed checksum, which anybody can
 * forge, and the service can tell whom it gave a token: put a scheme into the place of `tag`, or protect nothing with it.
 * SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "herald_plugin.h"

#include <stdlib.h>
#include <string.h>

#define TOKEN_TYPE 0xda7au /* a private one */
#define COUNT_MAX 16u
#define KEYS_MAX 64
#define SECRET_BYTES 32u
#define TAG_BYTES 32u
#define KEY_ID_OFFSET 66u /* type, nonce and challenge digest come before it */

struct key {
    uint64_t handle; /* 0: free */
    uint8_t secret[SECRET_BYTES];
};

struct instance {
    const herald_host *host;
    struct key keys[KEYS_MAX];
};

/* The stand-in: four FNV-1a sums over the secret and the data. */
static void tag(const uint8_t *secret, const uint8_t *data, size_t len, uint8_t out[TAG_BYTES])
{
    for (uint64_t part = 0; part < TAG_BYTES / 8; part++) {
        uint64_t sum = 0xcbf29ce484222325u ^ part;

        for (size_t index = 0; index < SECRET_BYTES + len; index++)
            sum = (sum ^ (index < SECRET_BYTES ? secret[index] : data[index - SECRET_BYTES])) * 0x100000001b3u;
        memcpy(out + 8 * part, &sum, 8);
    }
}

/* Whether both are equal, in the same time wherever they differ. */
static int equal(const uint8_t *one, const uint8_t *other, size_t len)
{
    uint8_t difference = 0;

    for (size_t index = 0; index < len; index++)
        difference |= one[index] ^ other[index];
    return difference == 0;
}

static int32_t give(herald_bytes *place, const void *data, size_t len)
{
    place->len = len;
    if (len > place->capacity)
        return HERALD_RESULT_SMALL;
    memcpy(place->data, data, len);
    return HERALD_RESULT_OK;
}

static struct key *key_of(struct instance *instance, uint64_t handle)
{
    for (size_t index = 0; index < KEYS_MAX; index++)
        if (instance->keys[index].handle == handle)
            return &instance->keys[index];
    return NULL;
}

/* The public key, and its id: a real plugin publishes its key and gives the SHA-256 of that. */
static void publish(const uint8_t *secret, uint8_t id[HERALD_KEY_ID_BYTES])
{
    tag(secret, (const uint8_t *)"public", 6, id);
}

static int32_t open_instance(const herald_host *host, const herald_setting *settings, size_t count, void **self,
                             herald_reason *reason)
{
    struct instance *instance = calloc(1, sizeof *instance);

    (void)settings;
    if (instance == NULL || count > 0) {
        const char *why = count > 0 ? "it has no settings" : "out of memory";

        free(instance);
        reason->len = strlen(why);
        memcpy(reason->text, why, reason->len);
        return HERALD_RESULT_FAILED;
    }
    instance->host = host;
    *self = instance;
    return HERALD_RESULT_OK;
}

static void close_instance(void *self)
{
    memset(self, 0, sizeof(struct instance));
    free(self);
}

static int32_t key_make(void *self, herald_token_key *key)
{
    const struct instance *instance = self;
    uint8_t secret[SECRET_BYTES];

    instance->host->random(instance->host->context, secret, sizeof secret);
    publish(secret, key->id);
    if (give(&key->public_key, key->id, sizeof key->id) != HERALD_RESULT_OK)
        return HERALD_RESULT_SMALL;
    key->agreement_key.len = 0;
    return give(&key->secret, secret, sizeof secret);
}

static int32_t key_add(void *self, uint64_t handle, const uint8_t *secret, size_t len)
{
    struct key *key = key_of(self, 0);

    if (len != SECRET_BYTES || handle == 0)
        return HERALD_RESULT_REFUSED;
    if (key == NULL)
        return HERALD_RESULT_FAILED;
    key->handle = handle;
    memcpy(key->secret, secret, len);
    return HERALD_RESULT_OK;
}

static void key_drop(void *self, uint64_t handle)
{
    struct key *key = handle == 0 ? NULL : key_of(self, handle);

    if (key != NULL)
        memset(key, 0, sizeof *key);
}

static uint32_t request_count(void *self, const uint8_t *request, size_t len)
{
    (void)self;
    (void)request;
    return len % HERALD_TOKEN_INPUT_BYTES == 0 && len / HERALD_TOKEN_INPUT_BYTES <= COUNT_MAX
               ? (uint32_t)(len / HERALD_TOKEN_INPUT_BYTES)
               : 0;
}

static int32_t issue(void *self, uint64_t handle, const uint8_t *request, size_t len, herald_bytes *response)
{
    const struct key *key = handle == 0 ? NULL : key_of(self, handle);
    uint32_t count = request_count(self, request, len);
    uint8_t tags[COUNT_MAX * TAG_BYTES];

    if (key == NULL || count == 0)
        return HERALD_RESULT_REFUSED;
    for (uint32_t index = 0; index < count; index++)
        tag(key->secret, request + index * HERALD_TOKEN_INPUT_BYTES, HERALD_TOKEN_INPUT_BYTES, tags + index * TAG_BYTES);
    return give(response, tags, count * TAG_BYTES);
}

static int32_t redeem(void *self, const herald_redemption *tokens, size_t count, herald_redeemed *answers)
{
    for (size_t index = 0; index < count; index++) {
        const herald_redemption *token = &tokens[index];
        const struct key *key = token->key == 0 ? NULL : key_of(self, token->key);
        uint8_t right[TAG_BYTES];

        answers[index].secret_len = 0;
        answers[index].result = HERALD_RESULT_REFUSED;
        if (key == NULL || token->mode != HERALD_TOKEN_BEARER || token->authenticator_len != TAG_BYTES)
            continue;
        tag(key->secret, token->token_input, HERALD_TOKEN_INPUT_BYTES, right);
        if (equal(right, token->authenticator, TAG_BYTES))
            answers[index].result = HERALD_RESULT_OK;
    }
    return HERALD_RESULT_OK;
}

static int32_t request(void *self, const herald_want *want, herald_bytes *request, herald_bytes *state)
{
    const struct instance *instance = self;
    uint8_t inputs[COUNT_MAX * HERALD_TOKEN_INPUT_BYTES];

    if (want->mode != HERALD_TOKEN_BEARER)
        return HERALD_RESULT_UNSUPPORTED;
    if (want->count == 0 || want->count > COUNT_MAX || want->public_key_len != HERALD_KEY_ID_BYTES)
        return HERALD_RESULT_REFUSED;
    for (uint32_t index = 0; index < want->count; index++) {
        uint8_t *input = inputs + index * HERALD_TOKEN_INPUT_BYTES;

        input[0] = TOKEN_TYPE >> 8;
        input[1] = TOKEN_TYPE & 0xff;
        instance->host->random(instance->host->context, input + 2, 32);
        memcpy(input + 34, want->challenge_digest, 32);
        memcpy(input + KEY_ID_OFFSET, want->public_key, HERALD_KEY_ID_BYTES);
    }
    if (give(request, inputs, want->count * HERALD_TOKEN_INPUT_BYTES) != HERALD_RESULT_OK)
        return HERALD_RESULT_SMALL;
    return give(state, inputs, want->count * HERALD_TOKEN_INPUT_BYTES);
}

static int32_t finish(void *self, const uint8_t *state, size_t state_len, const uint8_t *response, size_t response_len,
                      herald_token *tokens, size_t *count)
{
    size_t made = request_count(self, state, state_len);

    if (made == 0 || response_len != made * TAG_BYTES)
        return HERALD_RESULT_REFUSED;
    if (made > *count) {
        *count = made;
        return HERALD_RESULT_SMALL;
    }
    for (size_t index = 0; index < made; index++) {
        memcpy(tokens[index].token_input, state + index * HERALD_TOKEN_INPUT_BYTES, HERALD_TOKEN_INPUT_BYTES);
        memcpy(tokens[index].authenticator, response + index * TAG_BYTES, TAG_BYTES);
        tokens[index].authenticator_len = TAG_BYTES;
        tokens[index].proof_len = 0;
        tokens[index].secret_len = 0;
    }
    *count = made;
    return HERALD_RESULT_OK;
}

static const herald_rate_control table = {
    .plugin =
        {
            .abi_major = HERALD_PLUGIN_ABI_MAJOR,
            .abi_minor = HERALD_PLUGIN_ABI_MINOR,
            .struct_size = sizeof(herald_rate_control),
            .kind = HERALD_PLUGIN_RATE_CONTROL,
            .flags = 0, /* keys come and go without a lock: one thread at a time */
            .name = "example-tokens",
            .version = "1.0",
            .summary = "tokens that anybody can forge: a stand-in",
            .open = open_instance,
            .close = close_instance,
        },
    .token_type = TOKEN_TYPE,
    .modes = HERALD_TOKEN_BEARER,
    .count_max = COUNT_MAX,
    .key_cost_ms = 1,
    .request_type = "application/x-example-token-request",
    .response_type = "application/x-example-token-response",
    .key_make = key_make,
    .key_add = key_add,
    .key_drop = key_drop,
    .request_count = request_count,
    .issue = issue,
    .redeem = redeem,
    .request = request,
    .finish = finish,
};

const herald_plugin *herald_plugin_entry(void) { return &table.plugin; }
