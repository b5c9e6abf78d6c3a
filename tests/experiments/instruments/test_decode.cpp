#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "experiments/commands/decode.hpp"
#include "experiments/instruments/decode_rows.hpp"
#include "experiments/study/decode_policy.hpp"
#include "sim/base/error.hpp"
#include "sim/quantize/progressive.hpp"
#include "tests/experiments/checkpoint.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

using namespace hone::experiments;

/// A random rotary model and random windows of 4 contexts.
struct Setting {
  explicit Setting(std::vector<std::string> policies, std::vector<double> averages = {})
      : options(rotary()), model(options) {
    const Vector<double> wide = random_parameters(model.layout(), 1);
    theta.assign(wide.begin(), wide.end());
    spec.policies = std::move(policies), spec.average_bits = std::move(averages);
    spec.length = 64, spec.windows = 9, spec.copy_windows = 3, spec.copy_block = 4;
    spec = fitted_to(spec, options);
    TransformerOptions longer = options;
    longer.positions = spec.length;
    windows = random_tokens(longer, spec.windows, 2);
  }
  static TransformerOptions rotary() {
    TransformerOptions o = tiny_llama();
    o.positions = 16;
    return o;
  }
  DecodeInput input(int threads = 1) const { return {options, theta, windows, spec, 5, threads}; }
  DecodeTable table() const {
    return measure_decoding(input(), [](double, const std::string&) {});
  }

  TransformerOptions options;
  Transformer<float> model;
  AlignedVector<float> theta;
  DecodeSpec spec;
  TokenBatch windows;
};

bool is_zero(const MeanEstimate& d) { return d.mean == 0 && d.standard_error == 0; }

/// The tiny transformer of the quick study alone, with decoding at its end.
std::string study_text(const std::string& decode) {
  std::string text = quick_text();
  const size_t mlp = text.find("[[models]]\nname = \"mlp\""), train = text.find("[train]");
  text.erase(mlp, train - mlp);
  text = replaced(text, "seeds = [1, 2]", "seeds = [1]");
  return text + "[decode]\n" + decode;
}

const char* const small =
    "policies = [\"token3\", \"kivi2-residual32\"]\naverage_bits = [4]\nwindows = 4\n"
    "copy_windows = 2\nlength = 96\n";

}  // namespace

TEST_CASE("policy: every part of a name reaches the cache") {
  const KvCacheOptions token = policy_from_name("token4").cache;
  CHECK(token.key.bits == 4);
  CHECK(token.value.bits == 4);
  CHECK(token.key.grid == Grid::float_min);
  CHECK(token.key_axis == KeyAxis::token);
  CHECK(!token.pre_rope);
  const KvCacheOptions apart = policy_from_name("k4v2-sinks3-residual5-group8-prerope").cache;
  CHECK(std::pair(apart.key.bits, apart.value.bits) == std::pair(4, 2));
  CHECK(apart.sinks == 3);
  CHECK(apart.residual == 5);
  CHECK(apart.key.granularity == Granularity::group);
  CHECK(std::pair(apart.key.group, apart.value.group) == std::pair(Index(8), Index(8)));
  CHECK(apart.pre_rope);
  const KvCacheOptions channel = policy_from_name("channel-k2v3-group16-residual16").cache;
  CHECK(channel.key_axis == KeyAxis::channel);
  CHECK(std::pair(channel.key.bits, channel.value.bits) == std::pair(2, 3));
  CHECK(std::pair(channel.key_group, channel.residual) == std::pair(Index(16), Index(16)));
  CHECK(channel.value.granularity == Granularity::row);
  const KvCacheOptions kivi = policy_from_name("kivi2").cache;
  CHECK(std::pair(kivi.key_group, kivi.residual) == std::pair(Index(32), Index(128)));
  CHECK(kivi.value.granularity == Granularity::group);
  CHECK(policy_from_name("kivi2-residual64").cache.residual == 64);
  for (const std::string& name : known_policies()) CHECK(policy_from_name(name).name == name);
}

TEST_CASE("policy: an unknown name is answered with the nearest one that the grammar allows") {
  const std::pair<const char*, const char*> cases[] = {{"tokn4", "\"token4\""},
                                                       {"token", "\"token4\""},
                                                       {"kivy2-residul32", "\"kivi2-residual32\""},
                                                       {"k4v2-sink3", "\"token-k4v2-sinks3\""},
                                                       {"token4-prerope2", "\"token4-prerope\""},
                                                       {"token4-sinks", "\"token4-sinks32\""},
                                                       {"", "\"kivi4\""}};
  for (const auto& [wrong, nearest] : cases) {
    const std::string said = message_of<OptionError>([&] { (void)policy_from_name(wrong); });
    CHECK_MESSAGE(mentions(said, fmt::format("policy \"{}\" is unknown; did you mean {}?", wrong, nearest)), said);
    CHECK(said.find('\n') == std::string::npos);
  }
  for (const char* wrong : {"token0", "token17", "k4v99", "channel2-residual40", "token4-group0"}) {
    const std::string said = message_of<OptionError>([&] { (void)policy_from_name(wrong); });
    CHECK_MESSAGE(mentions(said, fmt::format("policy \"{}\": ", wrong)), said);
  }
}

TEST_CASE("fitted spec: lengths follow from the context, and what does not fit is refused with the fix") {
  const TransformerOptions rotary = Setting::rotary();
  const DecodeSpec plain = fitted_to({}, rotary);
  CHECK(plain.length == 128);
  CHECK(std::pair(plain.prompt, plain.generate) == std::pair(std::int64_t(8), std::int64_t(8)));
  CHECK(plain.copy_distances == std::vector<std::int64_t>{16, 32, 64});
  const TransformerOptions learned = gpt2_style(rotary);
  CHECK(fitted_to({}, learned).length == 16);
  const auto refusal = [&](const auto& change) {
    DecodeSpec spec;
    change(spec);
    return message_of<OptionError>([&] { (void)fitted_to(spec, learned); });
  };
  CHECK(
      mentions(refusal([](DecodeSpec& s) { s.length = 17; }), "length = 17: the model's learned positions end at 16"));
  CHECK(mentions(refusal([](DecodeSpec& s) { s.prompt = 12; }), "prompt = 12 and generate = 8 do not fit length = 16"));
  CHECK(mentions(refusal([](DecodeSpec& s) { s.copy_distances = {16}; }), "copy_distances: 16"));
  CHECK(mentions(refusal([](DecodeSpec& s) { s.average_bits = {1.5}; }), "average_bits: 1.5"));
  CHECK(mentions(refusal([](DecodeSpec& s) { s.average_bits = {7.5}; }), "average_bits: 7.5"));
  CHECK(mentions(refusal([](DecodeSpec& s) { s.policies = {"tokn4"}; }), "did you mean \"token4\"?"));
}

TEST_CASE("decode table: 16 bits change nothing, exactly, and 2 bits change everything") {
  const Setting s({"token16", "kivi16", "token2"});
  const DecodeTable table = s.table();
  REQUIRE(table.policies.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    const PolicyEntry& e = table.policies[i];
    const bool is_off = i < 2;
    CHECK((e.bits.mean() == 16) == is_off);
    CHECK(is_zero(e.all.difference) == is_off);
    for (const CopyScore& c : e.copies) CHECK(is_zero(c.loss_difference) == is_off);
    for (const FreeRunning* run : {&e.greedy, &e.sampled}) {
      CHECK((run->reference == run->changed) == is_off);
      for (const MeanEstimate& kl : run->kl) CHECK((kl.mean == 0) == is_off);
    }
  }
  CHECK(table.policies[0].octaves.back().last == 64);
  CHECK(table.policies[0].copies.size() == s.spec.copy_distances.size());
  CHECK(table.schedules.empty());
}

TEST_CASE("decode table: the bits of a row are those of its own experiment") {
  // 64 tokens teacher-forced, and free runs of far fewer: a residual of 32 tokens in full precision weighs more there.
  const Setting s({"token3", "kivi2-residual32", "token4-sinks4"});
  const DecodeTable table = s.table();
  const Index ran = s.spec.prompt + s.spec.generate - 1;
  REQUIRE(ran < s.spec.length);
  const auto groups = decode_rows(table, s.input(1));
  const std::string text = decode_text(table, s.input(1));
  for (size_t i = 0; i < table.policies.size(); ++i) {
    const PolicyEntry& e = table.policies[i];
    const auto bits_at = [&](Index length) {
      return bits_per_cached_value(policy_from_name(e.policy).cache, s.model.options().kv_heads,
                                   s.model.options().head_width(), length);
    };
    const std::pair<const char*, KvBits> experiments[] = {{"decode", bits_at(s.spec.length)},
                                                          {"decode_free", bits_at(ran)}};
    for (const auto& [group, bits] : experiments) {
      CHECK(groups.at(group).doubles("key_bits")[i] == bits.key);
      CHECK(groups.at(group).doubles("value_bits")[i] == bits.value);
    }
    const KvBits free = bits_at(ran);
    CHECK_MESSAGE(mentions(text, fmt::format("{:<18} {:>7.3f} {:>7.3f} greedy", e.policy, free.key, free.value)), text);
  }
  CHECK(table.policies[1].free_bits.value > table.policies[1].bits.value);
}

TEST_CASE("decode table: the mean rise is that of decoding every window at once") {
  const Setting s({"token3"});
  const auto weights = std::make_shared<const DecoderWeights<float>>(s.model, s.theta.data());
  const auto losses = [&](const KvCacheOptions& cache) {
    return decoded_losses<float>({weights, {.cache = cache, .max_length = 64}}, s.windows);
  };
  const Matrix<double> full = losses({}), changed = losses(policy_from_name("token3").cache);
  const PolicyEntry entry = s.table().policies.front();
  CHECK(full.mean() > 0);
  CHECK_NEAR(entry.all.reference.mean, full.mean(), 1e-12, 0);
  CHECK_NEAR(entry.all.difference.mean, (changed - full).mean(), 1e-12, 1e-14);
}

TEST_CASE("decode table: schedules have equal averages, opposite order and the stored width's reference") {
  Setting s({}, {4, 4.5, 5.5});
  const std::vector<ScheduleEntry> entries = s.table().schedules;
  REQUIRE(entries.size() == 16);
  CHECK(entries[0].schedule == "stored");
  CHECK(entries[0].average_bits == 8);
  const double averages[] = {4, 4.5, 5.5};
  const std::pair<int, int> widths[] = {{5, 3}, {6, 3}, {7, 4}};
  for (size_t i = 0; i < 3; ++i) {
    const ScheduleEntry &uniform = entries[5 * i + 1], &down = entries[5 * i + 2], &up = entries[5 * i + 3],
                        &line = entries[5 * i + 4], &surprise = entries[5 * i + 5];
    CHECK(std::vector{uniform.schedule, down.schedule, up.schedule, line.schedule, surprise.schedule} ==
          std::vector<std::string>{"uniform", "step_down", "reversed", "linear", "surprise"});
    CHECK(std::pair(down.first_bits, down.last_bits) == widths[i]);
    CHECK(std::pair(up.last_bits, up.first_bits) == widths[i]);
    CHECK_NEAR(down.average_bits, averages[i], 0, 0.2);
    CHECK(up.average_bits == down.average_bits);
    CHECK(uniform.average_bits == down.average_bits);
    CHECK_NEAR(line.average_bits, down.average_bits, 1e-12, 0);
    CHECK(line.first_bits > line.last_bits);
    CHECK(surprise.average_bits == down.average_bits);
    CHECK(surprise.first_bits == 0);
    CHECK(is_zero(uniform.to_uniform));
    CHECK(!is_zero(down.to_uniform));
    CHECK_NEAR(down.to_uniform.mean, down.all.difference.mean - uniform.all.difference.mean, 1e-9, 1e-13);
  }
  CHECK(std::abs(entries[0].all.difference.mean) < std::abs(entries[1].all.difference.mean));
}

TEST_CASE("decode table: the stored schedule is the plain model of that width, prompt and all, exactly") {
  const Setting s({}, {4});
  const NestedWeights<float> nested(s.theta.data(), s.model.layout(), {.bits = 8, .grid = Grid::asymmetric});
  const AlignedVector<float> rounded = nested.decode(8);
  const auto weights = std::make_shared<const DecoderWeights<float>>(s.model, rounded.data());
  const Matrix<double> losses = decoded_losses<float>({weights, {.max_length = 64}}, s.windows);
  const auto generated = losses.middleCols(s.spec.prompt, s.spec.generate);
  CHECK_NEAR(s.table().schedules.front().all.changed.mean, generated.mean(), 1e-14, 0);
}

TEST_CASE("decode table: widths by surprise are the higher ones just after the tokens of largest loss") {
  const Setting s({}, {4});
  const auto weights = std::make_shared<const DecoderWeights<float>>(s.model, s.theta.data());
  const Matrix<double> full = decoded_losses<float>({weights, {.max_length = 64}}, s.windows);
  const NestedWeights<float> nested(s.theta.data(), s.model.layout(), {.bits = 8, .grid = Grid::asymmetric},
                                    NestedValues::least_squares);
  double sum = 0;
  for (Index w = 0; w < s.windows.sequences; ++w) {
    std::vector<std::pair<double, Index>> order;
    for (Index t = 0; t < s.spec.generate; ++t) order.emplace_back(-full(w, s.spec.prompt + t - 1), t);
    std::sort(order.begin(), order.end());
    PrecisionSchedule own{std::vector<int>(size_t(s.spec.generate), 3)};
    for (size_t i = 0; i < order.size() / 2; ++i) own.bits[size_t(order[i].second)] = 5;
    const Index positions = s.spec.prompt + s.spec.generate;
    const TokenBatch window = stacked_windows(1, positions, [&](Index) {
      const auto first = s.windows.tokens.begin() + w * (s.windows.positions + 1);
      return std::vector<std::uint16_t>(first, first + positions + 1);
    });
    sum += scheduled_losses(s.model, nested, own, 8, window, s.spec.prompt, {.max_length = 64}).mean();
  }
  const ScheduleEntry entry = s.table().schedules.back();
  CHECK(entry.schedule == "surprise");
  CHECK_NEAR(entry.all.changed.mean, sum / double(s.windows.sequences), 1e-12, 0);
}

TEST_CASE("decode table: bits do not depend on threads, and the shares of the watch rise to 1") {
  const Setting s({"token3", "channel2"}, {4});
  std::vector<double> shares;
  const DecodeTable one =
      measure_decoding(s.input(1), [&](double share, const std::string&) { shares.push_back(share); });
  const DecodeTable three = measure_decoding(s.input(3), [](double, const std::string&) {});
  CHECK(decode_rows(one, s.input(1)) == decode_rows(three, s.input(3)));
  CHECK(decode_text(one, s.input(1)) == decode_text(three, s.input(3)));
  CHECK(std::is_sorted(shares.begin(), shares.end()));
  CHECK(shares.size() > 10);
  CHECK_NEAR(shares.back(), 1, 1e-12, 0);
}

TEST_CASE("study: [decode] leaves its groups, on again after an interrupt or a rerun with the same bits") {
  const Workplace place(study_text(small)), again(study_text(small));
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const RunFile run = place.read(0);
  for (const char* group : {"decode", "decode_copy", "decode_free", "decode_schedules"}) {
    REQUIRE_MESSAGE(run.groups.contains(group), group);
    CHECK(std::get<std::int64_t>(run.group(group).attribute("length")) == 96);
  }
  CHECK(run.group("decode").strings("policy") == std::vector<std::string>{"token3", "kivi2-residual32"});
  CHECK(run.group("decode").length("octave") == 8);
  CHECK(run.group("decode_free").length("position") == 16);
  CHECK(run.group("decode_schedules").length("entry") == 6);
  CHECK(run.group("decode").doubles("contexts").back() == 96.0 / 32);

  Process process(again.arguments("run", {"--jobs", "1", "--threads", "2"}));
  while (process.is_running() && !std::filesystem::exists(again.partial(0))) usleep(300);
  process.signal(SIGINT);
  (void)process.wait();
  REQUIRE(again.says("run", {"--jobs", "1", "--threads", "2"}).code == 0);
  CHECK(difference(place, again) == "");
}

TEST_CASE("study: without [decode] there is no group of it, and with it the run has another id") {
  const Workplace with(study_text(small)), without(study_text(""));
  CHECK(with.runs()[0].id() != without.runs()[0].id());
  CHECK(!quick().read(0).groups.contains("decode"));
}

TEST_CASE("study: unknown policies, positions beyond the context and a text too short are refused before training") {
  const Said unknown = Workplace(study_text("policies = [\"tokn4\"]\n")).says("run", alone);
  CHECK(unknown.code == 2);
  CHECK_MESSAGE(mentions(unknown.err, "models.tiny: policy \"tokn4\" is unknown; did you mean \"token4\"?"),
                unknown.err);
  const std::string learned =
      replaced(study_text("policies = [\"token4\"]\nlength = 40\n"), "kind = \"llama\"", "kind = \"gpt2\"");
  const Said beyond = Workplace(learned).says("run", alone);
  CHECK(beyond.code == 2);
  CHECK_MESSAGE(mentions(beyond.err, "learned positions end at 32"), beyond.err);
  const TemporaryFolder texts;
  std::string words;
  for (int i = 0; i < 120000; ++i) words += fmt::format("{} ", i % 37);
  const std::string file = texts.write("text.txt", words).string();
  const Workplace place(replaced(study_text("policies = [\"token4\"]\nlength = 4096\n"),
                                 "kind = \"markov\"\nvocabulary = 64",
                                 fmt::format("kind = \"text\"\nvalidation_fraction = 0.2\nfiles = ['{}']", file)));
  const Said short_text = place.says("run", alone);
  CHECK(short_text.code != 0);
  CHECK_MESSAGE(mentions(short_text.err + short_text.out, "32 windows of 4096 need 131104"),
                short_text.err << short_text.out);
  CHECK(!std::filesystem::exists(place.partial(0)));
}

TEST_CASE("decode: a public checkpoint gives tables and a run file that does not depend on threads") {
  const Checkpoint checkpoint;
  const auto says = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"decode", checkpoint.path(),
                                      "--text", checkpoint.file("text.txt").string(),
                                      "--out",  checkpoint.out().string()};
    words.insert(words.end(), more.begin(), more.end());
    return hone_says(words);
  };
  const std::vector<std::string> few = {"--policies", "token16",        "token2", "--average-bits", "4",   "--windows",
                                        "4",          "--copy-windows", "2",      "--length",       "128", "--threads"};
  const auto with = [&](const char* threads) {
    std::vector<std::string> words = few;
    words.push_back(threads);
    return words;
  };
  const Said said = says(with("1"));
  REQUIRE_MESSAGE(said.code == 0, said.err);
  for (const char* part : {"loss rise by position", "64-127", "copy of 16 random tokens", "free runs of 16 tokens",
                           "step_down", "+0.00000 ± 0.00000", "written: "})
    CHECK_MESSAGE(mentions(said.out, part), said.out);
  const RunFile one = read_run_file(checkpoint.out());
  CHECK(one.group("decode").doubles("mean_delta_nats").front() == 0);
  CHECK(std::get<std::int64_t>(one.group("options").attribute("decode.length")) == 128);
  REQUIRE(says(with("3")).code == 0);
  const RunFile three = read_run_file(checkpoint.out());
  for (const char* group : {"decode", "decode_copy", "decode_free", "decode_schedules", "options"})
    CHECK_MESSAGE(one.group(group) == three.group(group), group);
}

TEST_CASE("decode: a text too short, an unknown policy and --help say what to do") {
  const Checkpoint checkpoint;
  const auto says = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"decode", checkpoint.path(), "--text", checkpoint.file("text.txt").string()};
    words.insert(words.end(), more.begin(), more.end());
    return hone_says(words);
  };
  const Said short_text = says({"--windows", "400"});
  CHECK(short_text.code == 2);
  CHECK_MESSAGE(mentions(short_text.err, "text.txt: "), short_text.err);
  CHECK_MESSAGE(mentions(short_text.err,
                         "--windows 400 of 256 tokens and the one after them need 102800; give more text with --text"),
                short_text.err);
  const Said unknown = says({"--policies", "kivi2", "tokn4"});
  CHECK(unknown.code == 2);
  CHECK_MESSAGE(mentions(unknown.err, "policy \"tokn4\" is unknown; did you mean \"token4\"?"), unknown.err);
  const Said nothing = says({"--no-policies", "--no-schedules"});
  CHECK(nothing.code == 2);
  CHECK_MESSAGE(mentions(nothing.err, "leave out one of --no-policies and --no-schedules"), nothing.err);
  const Said help = hone_says({"decode", "--help"});
  CHECK(help.code == 0);
  CHECK_MESSAGE(mentions(help.out, "-prerope    keys are quantized before RoPE"), help.out);
}

}  // namespace hone::test

TEST_SUITE_END();
