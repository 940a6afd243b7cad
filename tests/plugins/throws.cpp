// A discovery plugin in C++ that throws, from wherever its setting or the called number says. Compiled by the tests of the
// runtime's plugins.
#include "herald_plugin.h"

#include <cstring>
#include <stdexcept>
#include <string>

namespace {

bool close_throws;

int32_t open_plugin(const herald_host *, const herald_setting *settings, size_t count, void **self, herald_reason *)
{
    for (size_t index = 0; index < count; index++) {
        if (settings[index].value == std::string("open"))
            throw std::runtime_error("from open");
        close_throws = settings[index].value == std::string("close");
    }
    *self = &close_throws;
    return HERALD_RESULT_OK;
}

void close_plugin(void *)
{
    if (close_throws)
        throw std::runtime_error("from close");
}

int32_t find(void *, const herald_question *question, herald_answer *answer)
{
    if (std::string(question->number, question->number_len) == "40")
        throw std::runtime_error("from find");
    if (std::string(question->number, question->number_len) == "41")
        throw 41;
    if (std::string(question->number, question->number_len) == "42")
        return HERALD_RESULT_PENDING;
    std::strcpy(answer->uris, "https://good.example");
    answer->uris_len = sizeof "https://good.example" - 1;
    return HERALD_RESULT_OK;
}

void cancel(void *, uint64_t) { throw std::string("from cancel"); }

const herald_discovery table = {{HERALD_PLUGIN_ABI_MAJOR, HERALD_PLUGIN_ABI_MINOR, sizeof(herald_discovery),
                                 HERALD_PLUGIN_DISCOVERY, 0, "throws", "1", "throws", open_plugin, close_plugin,
                                 nullptr},
                                find, cancel, nullptr};

} // namespace

const herald_plugin *herald_plugin_entry(void)
{
#ifdef ENTRY_THROWS
    throw std::runtime_error("from the entry");
#else
    return &table.plugin;
#endif
}
