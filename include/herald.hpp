/* herald.hpp: herald.h for C++17, header-only. Handles free themselves; what can fail returns a herald::result.
 *
 * It needs neither exceptions nor RTTI. Threads, units and meanings are those of the functions in herald.h. A moved-from object
 * holds nothing, and its calls come to HERALD_NULL_ARGUMENT; so do those that are given an empty function to call. Nothing here
 * may be used inside a callback. Memory that the system refuses is the one failure that is no result: std::bad_alloc, or the
 * end of a program without exceptions.
 */
#ifndef HERALD_HPP
#define HERALD_HPP

#include <herald.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace herald {

// With exceptions and without, functions of one name would differ: a program may have both, but what one makes is of no type
// that the other knows.
#if defined(__cpp_exceptions)
inline namespace with_exceptions {
#else
inline namespace without_exceptions {
#endif

using bytes = std::vector<std::uint8_t>;

/** Why a call failed: its status and its words. */
class failure : public std::exception {
public:
    failure(herald_status status, std::string words) : status_(status), words_(std::move(words)) {}

    /** One of HERALD_*. */
    herald_status status() const noexcept { return status_; }
    /** One line: what failed, on what value, what to do. */
    const char *what() const noexcept override { return words_.c_str(); }

private:
    herald_status status_;
    std::string words_;
};

/** What a call came to: a value, or why there is none. */
template <typename Value>
class [[nodiscard]] result {
public:
    result(Value value) : state_(std::in_place_index<0>, std::move(value)) {}
    result(failure why) : state_(std::in_place_index<1>, std::move(why)) {}

    /** Whether there is a value. */
    explicit operator bool() const noexcept { return state_.index() == 0; }
    /** HERALD_OK, or that of the failure. */
    herald_status status() const noexcept { return *this ? HERALD_OK : error().status(); }
    /** Why there is no value. There must be none. */
    const failure &error() const noexcept { return *std::get_if<1>(&state_); }

    /** The value. There must be one. What is about to end gives it away, so that a loop may run over it. */
    Value &operator*() & noexcept { return *std::get_if<0>(&state_); }
    const Value &operator*() const & noexcept { return *std::get_if<0>(&state_); }
    Value operator*() && { return std::move(*std::get_if<0>(&state_)); }
    Value *operator->() noexcept { return std::get_if<0>(&state_); }
    const Value *operator->() const noexcept { return std::get_if<0>(&state_); }

#if defined(__cpp_exceptions)
    /** The value; without one it throws the failure. */
    Value &value() & { return *held(); }
    const Value &value() const & { return *held(); }
    Value value() && { return *std::move(held()); }
#endif

private:
#if defined(__cpp_exceptions)
    result &held()
    {
        if (!*this)
            throw error();
        return *this;
    }
    const result &held() const
    {
        if (!*this)
            throw error();
        return *this;
    }
#endif

    std::variant<Value, failure> state_;
};

/** What a call came to that has no value. */
template <>
class [[nodiscard]] result<void> {
public:
    result() = default;
    result(failure why) : why_(std::move(why)) {}

    /** Whether it succeeded. */
    explicit operator bool() const noexcept { return !why_; }
    /** HERALD_OK, or that of the failure. */
    herald_status status() const noexcept { return why_ ? why_->status() : HERALD_OK; }
    /** Why it failed. It must have. */
    const failure &error() const noexcept { return *why_; }

#if defined(__cpp_exceptions)
    /** Throws the failure if it failed. */
    void value() const
    {
        if (why_)
            throw *why_;
    }
#endif

private:
    std::optional<failure> why_;
};

/** The name of a status, as in "HERALD_IN_USE"; the number if it has none. */
inline std::string status_name(herald_status status)
{
    std::array<char, 64> name{};
    if (herald_status_name(status, name.data(), name.size(), nullptr) == HERALD_OK)
        return name.data();
    return std::to_string(status);
}

namespace detail {

/** A handle that is freed with `Free`. */
template <auto Free>
struct freed {
    template <typename Handle>
    void operator()(Handle *handle) const noexcept
    {
        Free(handle);
    }
};
template <typename Handle, auto Free>
using owned = std::unique_ptr<Handle, freed<Free>>;

/** Calls a function of the host: nothing may unwind into the engine. */
template <typename Function>
void contained(Function &&function) noexcept
{
#if defined(__cpp_exceptions)
    try {
        function();
    } catch (...) {
    }
#else
    function();
#endif
}

/** Calls `function` with a place for an error. */
template <typename Function>
result<void> ask(Function &&function)
{
    herald_error *error = nullptr;
    const herald_status status = function(&error);
    if (status == HERALD_OK)
        return {};
    const owned<herald_error, herald_error_free> freed_later(error);
    std::string words;
    std::size_t length = 0;
    if (herald_error_message(error, nullptr, 0, &length) == HERALD_BUFFER_TOO_SMALL) {
        words.resize(length + 1);
        if (herald_error_message(error, words.data(), words.size(), nullptr) != HERALD_OK)
            length = 0;
        words.resize(length);
    }
    return failure(status, words.empty() ? status_name(status) : words);
}

/** Calls `function` with a place for the answer and one for an error. */
template <typename Value, typename Function>
result<Value> answer(Value value, Function &&function)
{
    if (const auto asked = ask([&](herald_error **error) { return function(value, error); }); !asked)
        return asked.error();
    return result<Value>(std::move(value));
}

/** Calls `function`, which makes a handle, for an object that owns it. */
template <typename Object, typename Handle, typename Function>
result<Object> made(Function &&function)
{
    Handle *handle = nullptr;
    if (const auto asked = ask([&](herald_error **error) { return function(&handle, error); }); !asked)
        return asked.error();
    return Object(handle);
}

/** For functions that must run once: the buffer is large enough for any answer. */
template <typename Container, typename Function>
result<Container> once(std::size_t capacity, Function &&function)
{
    Container content;
    content.resize(capacity);
    std::size_t length = 0;
    if (const auto asked = ask([&](auto **error) { return function(content.data(), content.size(), &length, error); }); !asked)
        return asked.error();
    content.resize(length);
    return result<Container>(std::move(content));
}

/** For functions that may be asked for the length first. */
template <typename Function>
result<std::string> text(Function &&function)
{
    std::size_t length = 0;
    static_cast<void>(function(nullptr, std::size_t{0}, &length, nullptr));
    return once<std::string>(length + 1, function);
}

/** The status that says that there is nothing is no failure. */
template <typename Value>
result<std::optional<Value>> unless(herald_status nothing, result<Value> found)
{
    if (found)
        return std::optional<Value>(*std::move(found));
    if (found.status() == nothing)
        return std::optional<Value>();
    return found.error();
}

/** What a call that succeeded was given belongs to the engine. */
template <typename Value, typename Kept>
result<Value> handed_over(result<Value> called, std::unique_ptr<Kept> &kept)
{
    if (called)
        static_cast<void>(kept.release());
    return called;
}

} // namespace detail

/** What was retrieved: one placement, or cover that looks like one. */
struct item {
    /** 32 hexadecimal digits. */
    std::string id;
    /** Its sealed bytes. */
    bytes body;
};

/** A view of a text, for the options of a call. */
inline herald_text text(std::string_view view) { return {view.data(), view.size()}; }

/** A call on its way. To drop this leaves the call alone. It holds nothing, and cannot cancel, if other threads took the last
 *  handle while the call began. */
class call {
public:
    /** Wraps a handle that it then owns. */
    explicit call(herald_call *handle) : handle_(handle) {}

    /** Ends it early: its function soon hears HERALD_CANCELLED, unless it is over. */
    result<void> cancel()
    {
        return detail::ask([&](auto **error) { return herald_call_cancel(handle_.get(), error); });
    }

private:
    detail::owned<herald_call, herald_call_free> handle_;
};

/** The counters and gauges of an engine at one moment. */
class stats {
public:
    /** Wraps a handle that it then owns. */
    explicit stats(herald_stats *handle) : handle_(handle) {}

    result<std::size_t> size() const
    {
        return detail::answer<std::size_t>(
            0, [&](auto &count, auto **error) { return herald_stats_count(handle_.get(), &count, error); });
    }

    /** The name of a value, as in herald_not_stored_total{reason="number_full"}. */
    result<std::string> name(std::size_t index) const
    {
        return detail::text([&](char *data, auto size, auto *length, herald_error **error) {
            return herald_stats_name(handle_.get(), index, data, size, length, error);
        });
    }

    result<double> value(std::size_t index) const
    {
        return detail::answer<double>(
            0, [&](auto &value, auto **error) { return herald_stats_value(handle_.get(), index, &value, error); });
    }

    /** The value of a name, if there is one. */
    result<std::optional<double>> find(std::string_view name) const
    {
        const auto found = detail::answer<double>(0, [&](auto &value, auto **error) {
            return herald_stats_find(handle_.get(), name.data(), name.size(), &value, error);
        });
        return detail::unless(HERALD_OUT_OF_RANGE, found);
    }

    /** All of it as Prometheus reads it. */
    result<std::string> text() const
    {
        return detail::text([&](char *data, auto size, auto *length, herald_error **error) {
            return herald_stats_text(handle_.get(), data, size, length, error);
        });
    }

private:
    detail::owned<herald_stats, herald_stats_free> handle_;
};

/** Hears of placements until it is dropped, or its engine closed. */
class subscription {
public:
    /** Wraps a handle that it then owns. */
    explicit subscription(herald_subscription *handle) : handle_(handle) {}

    /** Placements that made room in the queue and are not told. */
    result<std::uint64_t> left_out() const
    {
        return detail::answer<std::uint64_t>(
            0, [&](auto &count, auto **error) { return herald_subscription_left_out(handle_.get(), &count, error); });
    }

private:
    detail::owned<herald_subscription, herald_subscription_close> handle_;
};

/** Hears reports: level (HERALD_LEVEL_*) and one line. It runs on any thread; what it throws is swallowed. */
using report = std::function<void(int level, std::string_view line)>;

/** What a host says of a certificate chain that is wanted. */
struct supplied {
    /** One of HERALD_SUPPLY_*. */
    std::int32_t answer = HERALD_SUPPLY_FETCH;
    /** The chain, PEM, with HERALD_SUPPLY_GIVEN. */
    std::string chain_pem = {};
    /** For how many seconds it holds. */
    std::uint32_t fresh_s = 3600;
};

/** Says what the host has of the certificate chain at a URL. It runs on any thread and must not block; if it throws there is
 *  none and none is fetched. */
using supplier = std::function<supplied(std::string_view url)>;

/** A setting: name and value. */
using property = std::pair<std::string_view, std::string_view>;

/** An engine. Closes itself. */
class engine {
public:
    /** Opens one with these settings. */
    static result<engine> open(const std::vector<property> &properties, report hear = nullptr)
    {
        return with(properties, std::move(hear), herald_engine_open);
    }

    /** Opens one with the settings of a file, which `properties` override. */
    static result<engine> open_file(std::string_view path, const std::vector<property> &properties = {}, report hear = nullptr)
    {
        return with(properties, std::move(hear), [path](auto *options, auto **handle, auto **error) {
            options->file = text(path);
            return herald_engine_open(options, handle, error);
        });
    }

    /** Opens a client of the engine at `service`: "unix:PATH" or "https://HOST[:PORT]". A forked child may open its own. */
    static result<engine> client(std::string_view service, const std::vector<property> &properties = {}, report hear = nullptr)
    {
        return with(properties, std::move(hear), [service](auto *options, auto **handle, auto **error) {
            return herald_client_open(service.data(), service.size(), options, handle, error);
        });
    }

    /** Serves on threads of the engine. */
    result<void> start()
    {
        return detail::ask([&](auto **error) { return herald_engine_start(handle_.get(), error); });
    }

    /** Serves on this thread: poll descriptor(), call turn(). */
    result<void> start_hosted()
    {
        return detail::ask([&](auto **error) { return herald_engine_start_hosted(handle_.get(), error); });
    }

    /** What to poll for reading. */
    result<int> descriptor() const
    {
        return detail::answer<int>(
            -1, [&](auto &descriptor, auto **error) { return herald_engine_descriptor(handle_.get(), &descriptor, error); });
    }

    /** Serves what is ready, waiting up to `timeout_ms` for it. */
    result<void> turn(std::uint32_t timeout_ms)
    {
        return detail::ask([&](auto **error) { return herald_engine_turn(handle_.get(), timeout_ms, error); });
    }

    /** The address of a listener. */
    result<std::string> address(std::size_t index) const
    {
        return detail::text([&](char *data, auto size, auto *length, herald_error **error) {
            return herald_engine_address(handle_.get(), index, data, size, length, error);
        });
    }

    /** Reads again the files that the configuration names, and what plugins read, while it serves. */
    result<void> reload()
    {
        return detail::ask([&](auto **error) { return herald_engine_reload(handle_.get(), error); });
    }

    /** Ends the listeners once requests under way have finished, or `grace_ms` is over; other calls go on. */
    result<void> drain(std::uint32_t grace_ms)
    {
        return detail::ask([&](auto **error) { return herald_engine_drain(handle_.get(), grace_ms, error); });
    }

    /** Begins that on the loop thread and returns; turns do the rest. Over once herald_connections of `stats` is 0. */
    result<void> drain_begin(std::uint32_t grace_ms)
    {
        return detail::ask([&](auto **error) { return herald_engine_drain_begin(handle_.get(), grace_ms, error); });
    }

    /** Stops: other threads get HERALD_WRONG_STATE from now on. */
    result<void> stop()
    {
        return detail::ask([&](auto **error) { return herald_engine_stop(handle_.get(), error); });
    }

    /** What it did so far. */
    result<herald::stats> stats() const
    {
        return detail::made<herald::stats, herald_stats>(
            [&](auto **copy, auto **error) { return herald_engine_stats(handle_.get(), copy, error); });
    }

    /** `arrived` hears of each placement under options.number, options.block, or all, one at a time; what it throws is
     *  swallowed. struct_size, arrived, user and finalizer of `options` are set here. */
    result<subscription> subscribe(herald_subscribe_options options, std::function<void(const herald_arrived &)> arrived)
    {
        using hear = std::function<void(const herald_arrived &)>;
        auto kept = std::make_unique<hear>(std::move(arrived));
        options.struct_size = sizeof options;
        options.user = kept.get();
        options.finalizer = [](void *user) { delete static_cast<hear *>(user); };
        options.arrived = nullptr;
        if (*kept)
            options.arrived = [](const herald_arrived *placement, void *user) {
                detail::contained([&] { (*static_cast<hear *>(user))(*placement); });
            };
        auto begun = detail::made<subscription, herald_subscription>(
            [&](auto **handle, auto **error) { return herald_subscribe(handle_.get(), &options, handle, error); });
        return detail::handed_over(std::move(begun), kept);
    }

    /** Stores a sealed PASSporT; answers with its id. */
    result<std::string> store(std::string_view number, const bytes &body)
    {
        std::array<char, HERALD_ID_CAPACITY> id{};
        const auto stored = detail::ask([&](auto **error) {
            return herald_store(handle_.get(), number.data(), number.size(), body.data(), body.size(), id.data(), id.size(),
                                error);
        });
        if (!stored)
            return stored.error();
        return std::string(id.data());
    }

    /** Everything under a number. */
    result<std::vector<item>> retrieve(std::string_view number)
    {
        herald_items *found = nullptr;
        const auto retrieved = detail::ask(
            [&](auto **error) { return herald_retrieve(handle_.get(), number.data(), number.size(), &found, error); });
        if (!retrieved)
            return retrieved.error();
        return read(list(found));
    }

    /** Stores each of many sealed PASSporTs; says of each what came of it. */
    result<std::vector<herald_stored>> store_batch(const std::vector<std::pair<std::string_view, bytes>> &placements)
    {
        return store_each(herald_store_batch, placements);
    }

    /** Stores each of many sealed PASSporTs of messages, which are kept as long as message_retention says. */
    result<std::vector<herald_stored>> store_messages(const std::vector<std::pair<std::string_view, bytes>> &placements)
    {
        return store_each(herald_store_messages, placements);
    }

    /** Everything under each of many numbers. */
    result<std::vector<std::vector<item>>> retrieve_batch(const std::vector<std::string_view> &numbers)
    {
        std::vector<herald_number> given;
        for (const auto &number : numbers)
            given.push_back({number.data(), number.size()});
        const auto found = detail::answer(std::vector<herald_items *>(given.size()), [&](auto &lists, auto **error) {
            return herald_retrieve_batch(handle_.get(), given.data(), given.size(), lists.data(), error);
        });
        if (!found)
            return found.error();
        const std::vector<list> lists(found->begin(), found->end());
        std::vector<std::vector<item>> all;
        for (const list &one : lists) {
            auto items = read(one);
            if (!items)
                return items.error();
            all.push_back(*std::move(items));
        }
        return result<std::vector<std::vector<item>>>(std::move(all));
    }

    /** Places a call; `done` hears once, on a thread of the engine, what became of it. struct_size, done and user of
     *  `options` are set here, as in all that follow. */
    result<call> place(herald_place_options options, std::function<void(const herald_placed &)> done)
    {
        return begin(herald_place, options, std::move(done));
    }

    /** Checks a call; `done` hears once, on a thread of the engine, what was found. */
    result<call> check(herald_check_options options, std::function<void(const herald_checked &)> done)
    {
        return begin(herald_check, options, std::move(done));
    }

    /** Takes the PASSporTs of a SIP request to the called side; `done` hears once, on a thread of the engine. */
    result<call> gateway_store(herald_gateway_store_options options, std::function<void(const herald_gateway_stored &)> done)
    {
        return begin(herald_gateway_store, options, std::move(done));
    }

    /** Finds the Identity header field values for a request; `done` hears them once, on a thread of the engine. */
    result<call> gateway_fetch(herald_gateway_fetch_options options, std::function<void(const herald_gateway_fetched &)> done)
    {
        return begin(herald_gateway_fetch, options, std::move(done));
    }

    /** Looks up the services of a number as calls do; `done` hears once, on a thread of the engine, what was found. */
    result<call> discover(herald_discover_options options, std::function<void(const herald_discovered &)> done)
    {
        return begin(herald_discover, options, std::move(done));
    }

    /** Takes in a plugin that is linked into the program. Before the start. */
    result<void> register_plugin(herald_plugin_entry_fn entry)
    {
        return detail::ask([&](auto **error) { return herald_plugin_register(handle_.get(), entry, error); });
    }

    /** Puts the code of the shared object `path` into the place of the plugin `name` while it serves. */
    result<void> replace_plugin(std::string_view name, std::string_view path)
    {
        return detail::ask([&](auto **error) {
            return herald_plugin_replace(handle_.get(), name.data(), name.size(), path.data(), path.size(), error);
        });
    }

    /** Keeps a certificate chain, PEM, as what `url` serves for `fresh_s` seconds. */
    result<void> keep_certificate(std::string_view url, std::string_view chain_pem, std::uint32_t fresh_s)
    {
        const auto *chain = reinterpret_cast<const std::uint8_t *>(chain_pem.data());
        return detail::ask([&](auto **error) {
            return herald_certificate_keep(handle_.get(), url.data(), url.size(), chain, chain_pem.size(), fresh_s, error);
        });
    }

    /** Has `supply` asked for each certificate chain that is wanted and not known. Before the start, once. */
    result<void> set_certificate_supplier(supplier supply)
    {
        auto kept = std::make_unique<supplier>(std::move(supply));
        auto set = detail::ask([&](auto **error) {
            return herald_certificate_supplier_set(
                handle_.get(), *kept ? &engine::on_wanted : nullptr, kept.get(),
                [](void *user) { delete static_cast<supplier *>(user); }, error);
        });
        return detail::handed_over(std::move(set), kept);
    }

    /** Closes, and says whether all went well. Closed a second time it does nothing. */
    result<void> close()
    {
        const herald_status status = herald_engine_close(handle_.get());
        if (status != HERALD_WRONG_THREAD && status != HERALD_IN_CALLBACK)
            static_cast<void>(handle_.release());
        if (status != HERALD_OK)
            return failure(status, status_name(status));
        return {};
    }

private:
    using list = detail::owned<herald_items, herald_items_free>;

    explicit engine(herald_engine *handle) : handle_(handle) {}

    template <typename Store>
    result<std::vector<herald_stored>> store_each(
        Store store, const std::vector<std::pair<std::string_view, bytes>> &placements)
    {
        std::vector<herald_placement> given;
        for (const auto &[number, body] : placements)
            given.push_back({number.data(), number.size(), body.data(), body.size()});
        return detail::answer(std::vector<herald_stored>(given.size()), [&](auto &results, auto **error) {
            return store(handle_.get(), given.data(), given.size(), results.data(), error);
        });
    }

    /** Opens it with `function`; the report lives until the finalizer ran, or the call failed. */
    template <typename Open>
    static result<engine> with(const std::vector<property> &properties, report hear, Open function)
    {
        std::vector<herald_property> pairs;
        for (const auto &[name, value] : properties)
            pairs.push_back({name.data(), name.size(), value.data(), value.size()});
        herald_engine_options options{};
        options.struct_size = sizeof options;
        options.properties = pairs.data();
        options.property_count = pairs.size();
        std::unique_ptr<report> kept;
        if (hear) {
            kept = std::make_unique<report>(std::move(hear));
            options.report = [](std::int32_t level, const char *line, std::size_t length, void *user) {
                detail::contained([&] { (*static_cast<report *>(user))(level, std::string_view(line, length)); });
            };
            options.user = kept.get();
            options.finalizer = [](void *user) { delete static_cast<report *>(user); };
        }
        herald_engine *handle = nullptr;
        const auto opened = detail::ask([&](auto **error) { return function(&options, &handle, error); });
        if (!opened)
            return opened.error();
        static_cast<void>(kept.release());
        return engine(handle);
    }

    /** Begins a call; its function lives until it was called, or the call did not begin. */
    template <typename Begin, typename Options, typename Outcome>
    result<call> begin(Begin function, Options options, std::function<void(const Outcome &)> done)
    {
        using hear = std::function<void(const Outcome &)>;
        auto kept = std::make_unique<hear>(std::move(done));
        options.struct_size = sizeof options;
        options.user = kept.get();
        options.done = nullptr;
        if (*kept)
            options.done = [](const Outcome *outcome, void *user) {
                const std::unique_ptr<hear> owned(static_cast<hear *>(user));
                detail::contained([&] { (*owned)(*outcome); });
            };
        auto begun = detail::made<call, herald_call>(
            [&](auto **handle, auto **error) { return function(handle_.get(), &options, handle, error); });
        return detail::handed_over(std::move(begun), kept);
    }

    /** Copies what was retrieved. */
    static result<std::vector<item>> read(const list &found)
    {
        const auto count = detail::answer<std::size_t>(
            0, [&](auto &items, auto **error) { return herald_items_count(found.get(), &items, error); });
        if (!count)
            return count.error();
        std::vector<item> items(*count);
        bytes body(HERALD_BODY_CAPACITY);
        std::array<char, HERALD_ID_CAPACITY> id{};
        for (std::size_t index = 0; index < *count; index++) {
            std::size_t length = 0;
            auto copied = detail::ask([&](auto **error) {
                return herald_items_id(found.get(), index, id.data(), id.size(), nullptr, error);
            });
            if (copied)
                copied = detail::ask([&](auto **error) {
                    return herald_items_body(found.get(), index, body.data(), body.size(), &length, error);
                });
            if (!copied)
                return copied.error();
            items[index] = {id.data(), bytes(body.data(), body.data() + length)};
        }
        return result<std::vector<item>>(std::move(items));
    }

    static std::int32_t on_wanted(herald_certificate_wanted *wanted, void *user) noexcept
    {
        std::int32_t answer = HERALD_SUPPLY_NONE;
        detail::contained([&] {
            const supplied found = (*static_cast<supplier *>(user))(std::string_view(wanted->url.data, wanted->url.len));
            if (found.chain_pem.size() > wanted->capacity)
                return;
            std::copy(found.chain_pem.begin(), found.chain_pem.end(), wanted->chain_pem);
            wanted->chain_pem_len = found.chain_pem.size();
            wanted->fresh_s = found.fresh_s;
            answer = found.answer;
        });
        return answer;
    }

    detail::owned<herald_engine, herald_engine_close> handle_;
};

/** A new sealing key, a private JWK. */
inline result<std::string> generate_key()
{
    return detail::once<std::string>(HERALD_JWK_CAPACITY, [&](auto *data, auto size, auto *length, auto **error) {
        return herald_key_generate(data, size, length, error);
    });
}

/** The public half of a key. */
inline result<std::string> public_key(std::string_view key)
{
    return detail::text([&](char *data, auto size, auto *length, herald_error **error) {
        return herald_key_public(key.data(), key.size(), data, size, length, error);
    });
}

/** Seals a PASSporT for a called number with a public key. */
inline result<bytes> seal(std::string_view recipient, std::string_view number, std::string_view passport)
{
    return detail::once<bytes>(HERALD_BODY_CAPACITY, [&](auto *data, auto size, auto *length, auto **error) {
        return herald_seal(recipient.data(), recipient.size(), number.data(), number.size(), passport.data(),
                           passport.size(), data, size, length, error);
    });
}

/** The PASSporT in an item, if it was sealed with this key: most items are cover, or for somebody else. */
inline result<std::optional<std::string>> open(std::string_view key, std::string_view number, const bytes &sealed)
{
    auto passport = detail::once<std::string>(HERALD_BODY_CAPACITY, [&](auto *data, auto size, auto *length, auto **error) {
        return herald_open(key.data(), key.size(), number.data(), number.size(), sealed.data(), sealed.size(), data, size,
                           length, error);
    });
    return detail::unless(HERALD_DOES_NOT_OPEN, std::move(passport));
}

} // inline namespace
} // namespace herald

#endif /* HERALD_HPP */
