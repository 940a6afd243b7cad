/* herald.hpp: herald.h for C++17, header-only. Handles free themselves, failures are exceptions.
 *
 * Threads, units and meanings are those of the functions in herald.h. A moved-from object holds nothing, and its calls
 * throw HERALD_NULL_ARGUMENT. Nothing here may be used inside a callback.
 */
#ifndef HERALD_HPP
#define HERALD_HPP

#include <herald.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace herald {

using bytes = std::vector<std::uint8_t>;

/** A failure of a call: its status and its words. */
class failure : public std::exception {
public:
    failure(herald_status status, std::string message) : status_(status), message_(std::move(message)) {}

    /** One of HERALD_*. */
    herald_status status() const noexcept { return status_; }
    const char *what() const noexcept override { return message_.c_str(); }

private:
    herald_status status_;
    std::string message_;
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

/** Calls `function` with a place for an error and throws what comes of it. */
template <typename Function>
void check(Function &&function)
{
    herald_error *error = nullptr;
    const herald_status status = function(&error);
    if (status == HERALD_OK)
        return;
    std::string message;
    std::size_t length = 0;
    if (herald_error_message(error, nullptr, 0, &length) == HERALD_BUFFER_TOO_SMALL) {
        message.resize(length + 1);
        if (herald_error_message(error, message.data(), message.size(), nullptr) != HERALD_OK)
            length = 0;
        message.resize(length);
    }
    herald_error_free(error);
    throw failure(status, message.empty() ? status_name(status) : message);
}

/** Asks for the length, then for the content. `nul` is 1 where a NUL follows the content. */
template <typename Container, typename Function>
Container fetch(std::size_t guess, std::size_t nul, Function &&function)
{
    Container content;
    content.resize(guess);
    std::size_t length = 0;
    herald_error *error = nullptr;
    if (function(content.data(), content.size(), &length, &error) == HERALD_BUFFER_TOO_SMALL)
        content.resize(length + nul);
    herald_error_free(error);
    check([&](herald_error **again) { return function(content.data(), content.size(), &length, again); });
    content.resize(length);
    return content;
}

/** Like fetch, for functions that must run once: the buffer is large enough for any answer. */
template <typename Container, typename Function>
Container once(std::size_t capacity, Function &&function)
{
    Container content;
    content.resize(capacity);
    std::size_t length = 0;
    check([&](herald_error **error) { return function(content.data(), content.size(), &length, error); });
    content.resize(length);
    return content;
}

} // namespace detail

/** What was retrieved: placements among cover. */
class items {
public:
    items(items &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    items &operator=(items &&other) noexcept
    {
        std::swap(handle_, other.handle_);
        return *this;
    }
    items(const items &) = delete;
    items &operator=(const items &) = delete;
    ~items() { herald_items_free(handle_); }

    std::size_t size() const
    {
        std::size_t count = 0;
        detail::check([&](herald_error **error) { return herald_items_count(handle_, &count, error); });
        return count;
    }

    /** The id of an item, 32 hexadecimal digits. */
    std::string id(std::size_t index) const
    {
        return detail::fetch<std::string>(HERALD_ID_CAPACITY, 1, [&](auto *data, auto size, auto *length, auto *error) {
            return herald_items_id(handle_, index, data, size, length, error);
        });
    }

    /** The sealed bytes of an item. */
    bytes body(std::size_t index) const
    {
        return detail::fetch<bytes>(HERALD_BODY_CAPACITY, 0, [&](auto *data, auto size, auto *length, auto *error) {
            return herald_items_body(handle_, index, data, size, length, error);
        });
    }

private:
    friend class engine;
    explicit items(herald_items *handle) : handle_(handle) {}
    herald_items *handle_;
};

/** A view of a text, for the options of a call. */
inline herald_text text(std::string_view view) { return {view.data(), view.size()}; }

/** A call on its way. To drop this leaves the call alone. */
class call {
public:
    call(call &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    call &operator=(call &&other) noexcept
    {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~call() { herald_call_free(handle_); }

    /** Ends it early: its function soon hears HERALD_CANCELLED, unless it is over. */
    void cancel()
    {
        detail::check([&](herald_error **error) { return herald_call_cancel(handle_, error); });
    }

private:
    friend class engine;
    explicit call(herald_call *handle) : handle_(handle) {}

    herald_call *handle_;
};

/** The counters and gauges of an engine at one moment. */
class stats {
public:
    stats(stats &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    stats &operator=(stats &&other) noexcept
    {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~stats() { herald_stats_free(handle_); }

    std::size_t size() const
    {
        std::size_t count = 0;
        detail::check([&](herald_error **error) { return herald_stats_count(handle_, &count, error); });
        return count;
    }

    /** The name of a value, as in herald_not_stored_total{reason="number_full"}. */
    std::string name(std::size_t index) const
    {
        return detail::fetch<std::string>(128, 1, [&](auto *data, auto size, auto *length, auto *error) {
            return herald_stats_name(handle_, index, data, size, length, error);
        });
    }

    double value(std::size_t index) const
    {
        double value = 0;
        detail::check([&](herald_error **error) { return herald_stats_value(handle_, index, &value, error); });
        return value;
    }

    /** The value of a name, if there is one. */
    std::optional<double> find(std::string_view name) const
    {
        double value = 0;
        const herald_status status = herald_stats_find(handle_, name.data(), name.size(), &value, nullptr);
        if (status == HERALD_OUT_OF_RANGE)
            return std::nullopt;
        if (status != HERALD_OK)
            throw failure(status, status_name(status));
        return value;
    }

    /** All of it as Prometheus reads it. */
    std::string text() const
    {
        return detail::fetch<std::string>(16384, 1, [&](auto *data, auto size, auto *length, auto *error) {
            return herald_stats_text(handle_, data, size, length, error);
        });
    }

private:
    friend class engine;
    explicit stats(herald_stats *handle) : handle_(handle) {}

    herald_stats *handle_;
};

/** Hears of placements until it is dropped, or its engine closed. */
class subscription {
public:
    subscription(subscription &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    subscription &operator=(subscription &&other) noexcept
    {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~subscription() { herald_subscription_close(handle_); }

    /** Placements that made room in the queue and are not told. */
    std::uint64_t left_out() const
    {
        std::uint64_t count = 0;
        detail::check([&](herald_error **error) { return herald_subscription_left_out(handle_, &count, error); });
        return count;
    }

private:
    friend class engine;
    explicit subscription(herald_subscription *handle) : handle_(handle) {}

    herald_subscription *handle_;
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

/** A configuration file. */
struct file {
    std::string_view path;
};

/** An engine. Closes itself. */
class engine {
public:
    engine(std::initializer_list<property> properties, report hear = nullptr)
        : engine(std::vector<property>(properties), std::move(hear))
    {
    }

    explicit engine(const std::vector<property> &properties, report hear = nullptr)
        : engine(file{}, properties, std::move(hear))
    {
    }

    /** With the settings of a file, which `properties` override. */
    explicit engine(file settings, const std::vector<property> &properties = {}, report hear = nullptr)
    {
        open(properties, std::move(hear), [settings](auto *options, auto **handle, auto **error) {
            options->file = text(settings.path);
            return herald_engine_open(options, handle, error);
        });
    }

    /** A client of the engine at `service`: "unix:PATH" or "https://HOST[:PORT]". A forked child may open its own. */
    static engine client(std::string_view service, const std::vector<property> &properties = {}, report hear = nullptr)
    {
        engine opened;
        opened.open(properties, std::move(hear), [service](auto *options, auto **handle, auto **error) {
            return herald_client_open(service.data(), service.size(), options, handle, error);
        });
        return opened;
    }

    engine(engine &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    engine &operator=(engine &&other) noexcept
    {
        std::swap(handle_, other.handle_);
        return *this;
    }
    engine(const engine &) = delete;
    engine &operator=(const engine &) = delete;
    ~engine() { herald_engine_close(handle_); }

    /** Serves on threads of the engine. */
    void start()
    {
        detail::check([&](herald_error **error) { return herald_engine_start(handle_, error); });
    }

    /** Serves on this thread: poll descriptor(), call turn(). */
    void start_hosted()
    {
        detail::check([&](herald_error **error) { return herald_engine_start_hosted(handle_, error); });
    }

    /** What to poll for reading. */
    int descriptor() const
    {
        std::int32_t descriptor = -1;
        detail::check([&](herald_error **error) { return herald_engine_descriptor(handle_, &descriptor, error); });
        return descriptor;
    }

    /** Serves what is ready, waiting up to `timeout_ms` for it. */
    void turn(std::uint32_t timeout_ms)
    {
        detail::check([&](herald_error **error) { return herald_engine_turn(handle_, timeout_ms, error); });
    }

    /** The address of a listener. */
    std::string address(std::size_t index) const
    {
        return detail::fetch<std::string>(128, 1, [&](auto *data, auto size, auto *length, auto *error) {
            return herald_engine_address(handle_, index, data, size, length, error);
        });
    }

    /** Reads certificate, key and plugins again, while it serves. */
    void reload()
    {
        detail::check([&](herald_error **error) { return herald_engine_reload(handle_, error); });
    }

    /** Ends the listeners once requests under way have finished, or `grace_ms` is over; other calls go on. */
    void drain(std::uint32_t grace_ms)
    {
        detail::check([&](herald_error **error) { return herald_engine_drain(handle_, grace_ms, error); });
    }

    /** Stops: other threads get HERALD_WRONG_STATE from now on. */
    void stop()
    {
        detail::check([&](herald_error **error) { return herald_engine_stop(handle_, error); });
    }

    /** What it did so far. */
    herald::stats stats() const
    {
        herald_stats *copy = nullptr;
        detail::check([&](herald_error **error) { return herald_engine_stats(handle_, &copy, error); });
        return herald::stats(copy);
    }

    /** `arrived` hears of each placement under options.number, options.block, or all, one at a time; what it throws is
     *  swallowed. struct_size, arrived, user and finalizer of `options` are set here. */
    herald::subscription subscribe(herald_subscribe_options options, std::function<void(const herald_arrived &)> arrived)
    {
        using hear = std::function<void(const herald_arrived &)>;
        auto kept = std::make_unique<hear>(std::move(arrived));
        herald_subscription *made = nullptr;
        options.struct_size = sizeof options;
        options.user = kept.get();
        options.finalizer = [](void *user) { delete static_cast<hear *>(user); };
        options.arrived = [](const herald_arrived *placement, void *user) {
            try {
                (*static_cast<hear *>(user))(*placement);
            } catch (...) { // Nothing may unwind into the engine.
            }
        };
        detail::check([&](herald_error **error) { return herald_subscribe(handle_, &options, &made, error); });
        static_cast<void>(kept.release());
        return herald::subscription(made);
    }

    /** Stores a sealed PASSporT; returns its id. */
    std::string store(std::string_view number, const bytes &body)
    {
        std::array<char, HERALD_ID_CAPACITY> id{};
        detail::check([&](herald_error **error) {
            return herald_store(handle_, number.data(), number.size(), body.data(), body.size(), id.data(), id.size(),
                                error);
        });
        return id.data();
    }

    /** Everything under a number. */
    items retrieve(std::string_view number)
    {
        herald_items *found = nullptr;
        detail::check([&](herald_error **error) {
            return herald_retrieve(handle_, number.data(), number.size(), &found, error);
        });
        return items(found);
    }

    /** Stores each of many sealed PASSporTs; says of each what came of it. */
    std::vector<herald_stored> store_batch(const std::vector<std::pair<std::string_view, bytes>> &placements)
    {
        std::vector<herald_placement> given;
        for (const auto &[number, body] : placements)
            given.push_back({number.data(), number.size(), body.data(), body.size()});
        std::vector<herald_stored> results(given.size());
        detail::check([&](herald_error **error) {
            return herald_store_batch(handle_, given.data(), given.size(), results.data(), error);
        });
        return results;
    }

    /** Everything under each of many numbers. */
    std::vector<items> retrieve_batch(const std::vector<std::string_view> &numbers)
    {
        std::vector<herald_number> given;
        for (const auto &number : numbers)
            given.push_back({number.data(), number.size()});
        std::vector<herald_items *> found(given.size());
        std::vector<items> lists;
        lists.reserve(given.size());
        detail::check([&](herald_error **error) {
            return herald_retrieve_batch(handle_, given.data(), given.size(), found.data(), error);
        });
        for (herald_items *list : found)
            lists.push_back(items(list));
        return lists;
    }

    /** Places a call; `done` hears once, on a thread of the engine, what became of it. struct_size, done and user of
     *  `options` are set here. */
    call place(herald_place_options options, std::function<void(const herald_placed &)> done)
    {
        return begin(herald_place, options, std::move(done));
    }

    /** Checks a call; `done` hears once, on a thread of the engine, what was found. struct_size, done and user of
     *  `options` are set here. */
    call check(herald_check_options options, std::function<void(const herald_checked &)> done)
    {
        return begin(herald_check, options, std::move(done));
    }

    /** Takes in a plugin that is linked into the program. Before the start. */
    void register_plugin(herald_plugin_entry_fn entry)
    {
        detail::check([&](herald_error **error) { return herald_plugin_register(handle_, entry, error); });
    }

    /** Puts the code of the shared object `path` into the place of the plugin `name` while it serves. */
    void replace_plugin(std::string_view name, std::string_view path)
    {
        detail::check([&](herald_error **error) {
            return herald_plugin_replace(handle_, name.data(), name.size(), path.data(), path.size(), error);
        });
    }

    /** Looks up the services of a number as calls do; `done` hears once, on a thread of the engine, what was found.
     *  struct_size, done and user of `options` are set here. */
    call discover(herald_discover_options options, std::function<void(const herald_discovered &)> done)
    {
        return begin(herald_discover, options, std::move(done));
    }

    /** Keeps a certificate chain, PEM, as what `url` serves for `fresh_s` seconds. */
    void keep_certificate(std::string_view url, std::string_view chain_pem, std::uint32_t fresh_s)
    {
        const auto *chain = reinterpret_cast<const std::uint8_t *>(chain_pem.data());
        detail::check([&](herald_error **error) {
            return herald_certificate_keep(handle_, url.data(), url.size(), chain, chain_pem.size(), fresh_s, error);
        });
    }

    /** Has `supply` asked for each certificate chain that is wanted and not known. Before the start, once. */
    void set_certificate_supplier(supplier supply)
    {
        auto kept = std::make_unique<supplier>(std::move(supply));
        detail::check([&](herald_error **error) {
            return herald_certificate_supplier_set(handle_, &engine::on_wanted, kept.get(), &engine::on_supplier_end, error);
        });
        static_cast<void>(kept.release());
    }

    /** Closes, and throws if that went wrong. Closed a second time it does nothing. */
    void close()
    {
        const herald_status status = herald_engine_close(handle_);
        if (status == HERALD_OK || (status != HERALD_WRONG_THREAD && status != HERALD_IN_CALLBACK))
            handle_ = nullptr;
        if (status != HERALD_OK)
            throw failure(status, status_name(status));
    }

private:
    engine() = default;

    /** Opens it with `function`; the report lives until the finalizer ran, or the call failed. */
    template <typename Open>
    void open(const std::vector<property> &properties, report hear, Open function)
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
            options.report = &engine::on_report;
            options.user = kept.get();
            options.finalizer = &engine::on_end;
        }
        detail::check([&](herald_error **error) { return function(&options, &handle_, error); });
        // From here on the finalizer frees it.
        static_cast<void>(kept.release());
    }

    /** Begins a call; its function lives until it was called, or the call did not begin. */
    template <typename Begin, typename Options, typename Result>
    call begin(Begin function, Options options, std::function<void(const Result &)> done)
    {
        auto kept = std::make_unique<std::function<void(const Result &)>>(std::move(done));
        herald_call *begun = nullptr;
        options.struct_size = sizeof options;
        options.user = kept.get();
        options.done = [](const Result *result, void *user) {
            const std::unique_ptr<std::function<void(const Result &)>> owned(
                static_cast<std::function<void(const Result &)> *>(user));
            try {
                (*owned)(*result);
            } catch (...) { // Nothing may unwind into the engine.
            }
        };
        detail::check([&](herald_error **error) { return function(handle_, &options, &begun, error); });
        static_cast<void>(kept.release());
        return call(begun);
    }

    static void on_report(std::int32_t level, const char *text, std::size_t length, void *user) noexcept
    {
        try {
            (*static_cast<report *>(user))(level, std::string_view(text, length));
        } catch (...) { // Nothing may unwind into the engine.
        }
    }
    static void on_end(void *user) noexcept { delete static_cast<report *>(user); }

    static std::int32_t on_wanted(herald_certificate_wanted *wanted, void *user) noexcept
    {
        try {
            const supplied found = (*static_cast<supplier *>(user))(std::string_view(wanted->url.data, wanted->url.len));
            if (found.chain_pem.size() > wanted->capacity)
                return HERALD_SUPPLY_NONE;
            std::copy(found.chain_pem.begin(), found.chain_pem.end(), wanted->chain_pem);
            wanted->chain_pem_len = found.chain_pem.size();
            wanted->fresh_s = found.fresh_s;
            return found.answer;
        } catch (...) { // Nothing may unwind into the engine.
            return HERALD_SUPPLY_NONE;
        }
    }
    static void on_supplier_end(void *user) noexcept { delete static_cast<supplier *>(user); }

    herald_engine *handle_ = nullptr;
};

/** A new sealing key, a private JWK. */
inline std::string generate_key()
{
    return detail::once<std::string>(HERALD_JWK_CAPACITY, [&](auto *data, auto size, auto *length, auto *error) {
        return herald_key_generate(data, size, length, error);
    });
}

/** The public half of a key. */
inline std::string public_key(std::string_view key)
{
    return detail::fetch<std::string>(HERALD_JWK_CAPACITY, 1, [&](auto *data, auto size, auto *length, auto *error) {
        return herald_key_public(key.data(), key.size(), data, size, length, error);
    });
}

/** Seals a PASSporT for a called number with a public key. */
inline bytes seal(std::string_view recipient, std::string_view number, std::string_view passport)
{
    return detail::once<bytes>(HERALD_BODY_CAPACITY, [&](auto *data, auto size, auto *length, auto *error) {
        return herald_seal(recipient.data(), recipient.size(), number.data(), number.size(), passport.data(),
                           passport.size(), data, size, length, error);
    });
}

/** The PASSporT in an item, if it was sealed with this key. */
inline std::optional<std::string> open(std::string_view key, std::string_view number, const bytes &sealed)
{
    try {
        return detail::once<std::string>(HERALD_BODY_CAPACITY, [&](auto *data, auto size, auto *length, auto *error) {
            return herald_open(key.data(), key.size(), number.data(), number.size(), sealed.data(), sealed.size(), data,
                               size, length, error);
        });
    } catch (const failure &failed) {
        if (failed.status() == HERALD_DOES_NOT_OPEN)
            return std::nullopt;
        throw;
    }
}

} // namespace herald

#endif /* HERALD_HPP */
