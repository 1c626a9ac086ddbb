// crate atoms: an index of what every atom of a model is active on, its readable view, and its exports.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "work/atoms/build.h"
#include "work/atoms/export.h"
#include "work/atoms/image_observation.h"
#include "work/atoms/index.h"
#include "work/atoms/text_observation.h"
#include "work/eval/evaluate.h"
#include "work/steer/intervention.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, data, part = "val", out = "atoms.sqlite", json_field = "text", document_prefix, inventory,
                           dtype = "f32";
  double tail = 1;
  int64_t max_images = 2000;
  ObserveOptions observe;
  BuildOptions build;
  bool force = false;
};

struct ShowOptions : Common {
  std::string index, atom;
  int64_t contexts = 6;
};

struct ExportCommand : Common {
  std::string index, out, format = "dashboard";
  ExportOptions options;
};

constexpr int64_t timed_windows = 48;  // of the text, evaluated to tell its speed beside ours

// Said, or supersenses where WordNet is installed.
std::string inventory_of(const Options& o) {
  if (!o.inventory.empty()) return o.inventory;
  if (has_wordnet()) return "supersenses";
  fmt::print(stderr, "no WordNet in {}: names do without concepts (Debian: wordnet-base)\n", wordnet_folder);
  return "none";
}

// A finished index, and how fast the model was.
struct Built {
  BuildSummary summary;
  double evaluation_speed = 0;  // tokens/s of crate eval on the beginning of the text; 0: not known
};

void print_speed(const BuildSummary& s, double evaluation) {
  const auto all = static_cast<double>(s.tokens);
  std::string out = fmt::format("{} tokens/s reading, {} in all with names", short_number(all / s.read_seconds),
                                short_number(all / s.seconds));
  if (evaluation > 0)
    out += fmt::format("; crate eval {}: {:.2f} and {:.2f} of it", short_number(evaluation),
                       all / s.read_seconds / evaluation, all / s.seconds / evaluation);
  fmt::print("  speed     {}\n", out);
}

void print_summary(const Options& o, const Built& built) {
  const BuildSummary& s = built.summary;
  fmt::print("{}: {} atoms, {} of them silent, {} named\n", bold(o.out), s.atoms, s.silent, s.named);
  fmt::print("  read      {} tokens in {} documents\n", s.tokens, s.documents);
  fmt::print(
      "  names     p <= {} by {} permutations and a held-out correlation of at least {}; by chance {:.1f} of {} "
      "guesses would pass the first\n",
      o.build.names.level, o.build.names.permutations, o.build.names.least_score,
      o.build.names.level * static_cast<double>(s.guessed), s.guessed);
  fmt::print("  score     {:.3f}: mean held-out correlation of the names, unnamed atoms counted as 0\n", s.mean_score);
  fmt::print("  seconds   {:.1f}, reading {:.1f}\n", s.seconds, s.read_seconds);
  print_speed(s, built.evaluation_speed);
}

// The model reads, and everything is written while it and the corpus are open.
Built build_text(const Options& o, Device& device, const ObserveOptions& observe, const BuildOptions& build) {
  const auto model = load_language_model(device, o.model);
  const auto tokenizer = tokenizer_of(o.model);
  Tokens text = open_tokens(o.data, o.part, *tokenizer, {o.json_field, o.document_prefix});
  if (o.tail < 1) text = text.slice(static_cast<int64_t>(static_cast<double>(text.size()) * (1 - o.tail)), text.size());
  ObserveOptions options = observe;
  options.inventory = inventory_of(o);
  Built out;
  {
    const auto start = std::chrono::steady_clock::now();
    TextObservation seen(*model, *tokenizer, text, options);
    out.summary = build_index(seen, o.out, build);
    out.summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  const int64_t some = timed_windows * model->config().context;
  out.evaluation_speed =
      evaluate(*model, *tokenizer, text, {.batch = o.observe.batch, .max_tokens = some}).tokens_per_second;
  return out;
}

Built build_images(const Options& o, Device& device, const ObserveOptions& observe, const BuildOptions& build) {
  const auto model = load_vision_model(device, o.model);
  const auto set = open_images(o.data, {.split = o.part, .need_labels = false});
  ImageObservation seen(*model, *set, o.max_images, observe);
  return {build_index(seen, o.out, build)};
}

void run(const Options& o) {
  require(o.force || !std::filesystem::exists(o.out), "{} exists; give --force to replace it", o.out);
  Device device(o.device_options(o.dtype));
  Progress progress;
  const auto report = [&](const char* phase, int64_t done, int64_t total) {
    progress.show(fmt::format("[{}] {} {} of {}", bar(static_cast<double>(done) / static_cast<double>(total), 20),
                              phase, done, total));
  };
  ObserveOptions observe = o.observe;
  observe.seed = o.seed;
  observe.progress = [&](int64_t done, int64_t total) { report("reading", done, total); };
  BuildOptions build = o.build;
  build.names.seed = o.seed;
  build.about = {{"model", o.model}, {"hash", DirectoryReader(o.model).hash("model.safetensors")}};
  build.progress = [&](int64_t done, int64_t total) { report("naming, layers", done, total); };
  const bool images = is_image(load_config(o.model).family);
  const Built built = images ? build_images(o, device, observe, build) : build_text(o, device, observe, build);
  const BuildSummary& s = built.summary;
  progress.clear();
  if (!o.json) return print_summary(o, built);
  fmt::print("{}\n", nlohmann::json{{"out", o.out},
                                    {"atoms", s.atoms},
                                    {"silent", s.silent},
                                    {"named", s.named},
                                    {"mean_score", s.mean_score},
                                    {"tokens", s.tokens},
                                    {"documents", s.documents},
                                    {"tokens_per_second", static_cast<double>(s.tokens) / s.read_seconds},
                                    {"tokens_per_second_in_all", static_cast<double>(s.tokens) / s.seconds},
                                    {"tokens_per_second_of_eval", built.evaluation_speed},
                                    {"seconds", s.seconds}}
                         .dump());
}

std::string shown(const std::string& bytes) {
  std::string out;
  for (const char c : as_utf8(bytes)) {
    if (c == '\n')
      out += "\\n";
    else if (static_cast<unsigned char>(c) >= 0x20)
      out += c;
  }
  return out;
}

// The text around the peak, its token in brackets; or the image and the place of the patch.
std::string line_of(AtomIndex& index, const AtomContext& c) {
  std::string out;
  if (!index.is_text()) return shown(index.patch_of(c));
  const int64_t lo = std::max<int64_t>(0, c.peak - 14),
                hi = std::min<int64_t>(static_cast<int64_t>(c.texts.size()), c.peak + 8);
  for (int64_t i = lo; i < hi; ++i) {
    const std::string text = shown(c.texts[static_cast<std::size_t>(i)]);
    out += i == c.peak ? "[" + bold(text) + "]" : text;
  }
  return out;
}

void print_tokens(const char* label, const std::vector<TokenValue>& tokens) {
  if (tokens.empty()) return;
  fmt::print("  {:<9}", label);
  for (const TokenValue& t : tokens) fmt::print(" '{}' {:+.2f}", shown(t.text), t.value);
  fmt::print("\n");
}

void print_atom(AtomIndex& index, const AtomRecord& r, int64_t most) {
  const std::string &site = r.site,
                    name = r.name.empty() ? "unnamed (best guess: " + shown(r.guess) + ")" : shown(r.name);
  fmt::print("{}:{}  {}\n", site, r.atom, bold(name));
  fmt::print("  score     {:.3f} held out, p = {:.3f}; active on {:.2f} % of tokens, largest {:.3f}\n", r.score,
             r.p_value, 100 * r.density, r.most);
  print_tokens("raises", index.raises(site, r.atom));
  print_tokens("lowers", index.lowers(site, r.atom));
  const bool last_only = index.about("direct_path") != "yes" && site != index.sites().back();
  if (last_only) fmt::print("            (as if the head read this layer: blocks above renew the stream)\n");
  std::vector<TokenValue> table = index.token_table(site, r.atom);
  if (table.size() > 8) table.resize(8);
  print_tokens("tokens", table);
  for (const ConceptMatch& c : index.concepts(site, r.atom))
    fmt::print("  concept   {:<32} F1 {:.3f} held out ({:.3f} where chosen), above {:.3g}\n", c.text, c.f1, c.f1_train,
               c.threshold);
  for (const SimulatorScore& s : index.scores(site, r.atom))
    if (std::isfinite(s.top_and_random) || std::isfinite(s.random_only))  // else it predicts one value everywhere
      fmt::print("  {:<9} {:.3f} top and random, {:.3f} random only\n", s.simulator, s.top_and_random, s.random_only);
  for (const RelatedAtom& other : index.related(site, r.atom))
    fmt::print("  related   {:<6} {:+.2f}  {}\n", other.atom, other.correlation,
               shown(index.name_of(site, other.atom)));
  std::string kind;
  int64_t printed = 0;
  for (const AtomContext& c : index.contexts(site, r.atom)) {
    if (c.kind != kind) printed = 0;
    kind = c.kind;
    if (printed++ < most) fmt::print("  {:<7} {:>8.3f}  {}\n", c.kind, c.value, line_of(index, c));
  }
}

void show(const ShowOptions& o) {
  AtomIndex index(o.index);
  const Intervention target = parse_ablation(o.atom);
  require(target.positions.empty() && target.atoms.size() == 1, "'{}': expected SITE:ATOM", o.atom);
  for (int64_t atom = target.atoms[0].from; atom <= target.atoms[0].to; ++atom) {
    if (o.json)
      fmt::print("{}\n", dashboard_batch(index, target.site, atom, 1));
    else
      print_atom(index, index.record(target.site, atom), o.contexts);
  }
}

void export_all(const ExportCommand& o) {
  AtomIndex index(o.index);
  ExportOptions options = o.options;
  options.format = o.format == "dashboard" ? AtomFormat::dashboard : AtomFormat::neuron_records;
  Progress progress;
  const int64_t files = export_atoms(index, o.out, options, [&](int64_t done, int64_t total) {
    progress.show(fmt::format("[{}] {} of {} atoms", bar(static_cast<double>(done) / static_cast<double>(total), 20),
                              done, total));
  });
  progress.clear();
  if (o.json)
    fmt::print("{}\n", nlohmann::json{{"out", o.out}, {"files", files}}.dump());
  else
    fmt::print("{} files in {}\n", files, o.out);
}

void add_show(CLI::App& app) {
  auto o = std::make_shared<ShowOptions>();
  CLI::App* c = add_command(app, "show", "one atom, or a range, of an index",
                            "crate atoms show atoms.sqlite blocks.3.ista.code:205", *o);
  c->add_option("index", o->index, "the file that crate atoms wrote")->required();
  c->add_option("atom", o->atom, "SITE:ATOM or SITE:FROM-TO")->required();
  c->add_option("--contexts", o->contexts, "of each kind, at most")->capture_default_str();
  c->callback([o] { show(*o); });
}

void add_export_of(CLI::App& app) {
  auto o = std::make_shared<ExportCommand>();
  CLI::App* c = add_command(app, "export", "an index in the forms that other tools read",
                            "crate atoms export atoms.sqlite --as dashboard -o out/dashboard", *o);
  c->add_option("index", o->index, "the file that crate atoms wrote")->required();
  c->add_option("--as", o->format, "dashboard (SAEDashboard and Neuronpedia batches) or neuron-records")
      ->capture_default_str()
      ->check(CLI::IsMember({"dashboard", "neuron-records"}));
  c->add_option("--site", o->options.site, "only this site");
  c->add_option("--first", o->options.first, "of each site, from this atom on")->check(not_negative());
  c->add_option("--count", o->options.count, "so many atoms of each site; 0: all")->check(not_negative());
  c->add_option("--batch", o->options.batch, "atoms a dashboard file")->capture_default_str()->check(positive());
  c->add_option("-o,--out", o->out, "folder to write")->required();
  c->callback([o] { export_all(*o); });
}

}  // namespace

void add_atoms(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "atoms", "an index of what every atom of a model is active on, with names and scores",
                            "crate atoms out/demo-crate-lm --data data/tinyshakespeare.txt -o out/atoms.sqlite", *o);
  c->add_option("model", o->model, "model directory");
  c->add_option("--data", o->data,
                "text, shards (.bin) or a folder prepared by crate data; images for a model of images");
  c->add_option("--part", o->part, "of a prepared folder: train or val")->capture_default_str();
  c->add_option("--tail", o->tail, "only the last so large part of the text, e.g. 0.1")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  c->add_option("-o,--out", o->out, "index to write; crate explain looks for atoms.sqlite in the model directory")
      ->capture_default_str();
  c->add_flag("--force", o->force, "replace the file");
  c->add_option("--max-tokens", o->observe.max_tokens, "only the first so many tokens; 0: all")->capture_default_str();
  c->add_option("--max-images", o->max_images, "so many images, evenly over the set; 0: all")->capture_default_str();
  c->add_option("--batch", o->observe.batch, "windows at a time")->capture_default_str()->check(positive());
  c->add_option("--memory", o->observe.memory_mb, "MiB for the tables")
      ->capture_default_str()
      ->check(CLI::Range(16, 1 << 20));
  c->add_option("--inventory", o->inventory,
                "of concepts: eight, supersenses (default), wordnet, none, or a file of lines 'concept<TAB>words'");
  c->add_option("--level", o->build.names.level, "a name's p must be at most this")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  c->add_option("--permutations", o->build.names.permutations, "of the labels")
      ->capture_default_str()
      ->check(positive());
  c->add_option("--least-score", o->build.names.least_score, "a name's held-out correlation must be at least this")
      ->capture_default_str();
  c->add_option("--json-field", o->json_field, "of .jsonl: the field that holds the text")->capture_default_str();
  c->add_option("--document-prefix", o->document_prefix, "plain text: a line beginning so starts a document");
  c->add_option("--dtype", o->dtype, "f32, or what products read: bf16, int8")->capture_default_str();
  add_show(*c);
  add_export_of(*c);
  c->callback([o, c] {
    if (!c->get_subcommands().empty()) return;
    if (o->model.empty() || o->data.empty()) throw CLI::RequiredError("a model directory and --data");
    run(*o);
  });
}

}  // namespace crate::cli
