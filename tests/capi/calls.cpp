// calls.c in C++: a call placed and checked, another caller's rejected, and what cannot begin fails. Its arguments are those
// of calls.c. It asks for values, so what fails is thrown.
#include <cstdlib>
#include <fstream>
#include <future>
#include <herald.hpp>
#include <iterator>
#include <stdexcept>
#include <string>

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    const std::string key = std::string(argv[1]) + "/signing.key", chain = std::string(argv[1]) + "/signing.pem";
    const std::string sealing = std::string(argv[2]) + "/sealing.jwk", roots = std::string(argv[3]) + "/roots.pem";
    const std::vector<herald::property> common{{"durability", "memory"}, {"memory", "16MiB"}, {"signing_key", key},
                                               {"signing_certificate", chain}, {"sealing_keys", sealing},
                                               {"roots", roots}, {"directory", argv[4]}};
    auto engine = herald::engine::open(common).value();
    herald_place_options call{};
    call.orig = herald::text("12025550100");
    call.dest = herald::text("12025550123");
    if (engine.place(call, [](const herald_placed &) { std::abort(); }).status() != HERALD_WRONG_STATE)
        return 3;
    engine.start().value();
    std::promise<herald_status> placed;
    engine.place(call, [&](const herald_placed &outcome) { placed.set_value(outcome.status); }).value();
    if (placed.get_future().get() != HERALD_OK)
        return 5;
    const auto verdict_of = [&](std::string_view orig) {
        std::promise<int> checked;
        herald_check_options arrived{};
        arrived.orig = herald::text(orig);
        arrived.dest = call.dest;
        auto begun = engine.check(arrived, [&](const herald_checked &found) { checked.set_value(found.verdict); }).value();
        const int verdict = checked.get_future().get();
        begun.cancel().value(); // It is over, so nothing changes.
        return verdict;
    };
    if (verdict_of("12025550100") != HERALD_VERDICT_ACCEPT || verdict_of("12025550166") != HERALD_VERDICT_REJECT)
        return 6;
    engine.close().value();

    // The same with a certificate that the host supplies, or does not.
    for (const bool has_chain : {true, false}) {
        auto properties = common;
        properties.push_back({"x5u", "https://certs.example.net/alice.pem"});
        auto named = herald::engine::open(properties).value();
        named.set_certificate_supplier([&](std::string_view url) {
            if (!has_chain || url != "https://certs.example.net/alice.pem")
                throw std::runtime_error("there is none");
            std::ifstream file(chain);
            return herald::supplied{HERALD_SUPPLY_GIVEN, {std::istreambuf_iterator<char>(file), {}}};
        }).value();
        named.start().value();
        std::promise<herald_status> outcome;
        named.place(call, [&](const herald_placed &placed_now) { outcome.set_value(placed_now.status); }).value();
        if (outcome.get_future().get() != HERALD_OK)
            return 7;
        std::promise<int> verdict;
        herald_check_options arrived{};
        arrived.orig = call.orig;
        arrived.dest = call.dest;
        named.check(arrived, [&](const herald_checked &found) { verdict.set_value(found.verdict); }).value();
        if (verdict.get_future().get() != (has_chain ? HERALD_VERDICT_ACCEPT : HERALD_VERDICT_REJECT))
            return 8;
    }
    return 0;
}
