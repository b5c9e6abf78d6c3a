// hone: plan, run, judge, report and inspect studies of precision scaling.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "experiments/commands/cluster_commands.hpp"
#include "experiments/commands/decode.hpp"
#include "experiments/commands/measure.hpp"
#include "experiments/commands/plan.hpp"
#include "experiments/commands/predict.hpp"
#include "experiments/commands/quantize.hpp"
#include "experiments/commands/study_commands.hpp"
#include "sim/base/error.hpp"
#include "sim/base/instruction_class.hpp"

using hone::experiments::CheckpointOptions;
using hone::experiments::CommandOptions;
using hone::experiments::DecodeOptions;
using hone::experiments::MeasureOptions;
using hone::experiments::PlanOptions;
using hone::experiments::PredictOptions;
using hone::experiments::QuantizeOptions;
using hone::experiments::QuantizeSpec;
using hone::experiments::SubmitOptions;
using hone::experiments::WorkOptions;

namespace {

/// Options that belong to every subcommand on a study.
void add_study_options(CLI::App& command, CommandOptions& options) {
  command.add_option("study", options.study_file, "study file (TOML)")->required()->type_name("STUDY.toml");
  command.add_option("--out", options.out, "folder of the study; default outputs/NAME");
  command.add_option("--seed", options.seeds, "seeds to use instead of the study's")->type_name("N...");
}

void add_worker_options(CLI::App& command, CommandOptions& options) {
  command.add_option("--jobs,-j", options.jobs, "runs at a time; default one per core")->check(CLI::Range(0, 4096));
  command.add_option("--threads", options.threads, "threads per run; default cores/jobs")->check(CLI::Range(0, 4096));
}

/// Options of submit and resubmit.
void add_submit_options(CLI::App& command, SubmitOptions& o) {
  command.add_option("--partition", o.partition, "default the cluster's");
  command.add_option("--time", o.time, "limit of a task, as Slurm writes it; default the partition's");
  command.add_option("--cpus", o.cpus, "cores of a task; default 1")->check(CLI::Range(1, 4096));
  command.add_option("--grace", o.grace, "seconds before the limit when a task saves itself; default 120")
      ->check(CLI::Range(1, 65535));
  command.add_option("--sbatch", o.more, "further options of sbatch, such as --sbatch=--account=physics");
  command.add_option("--units-per-task", o.units_per_task, "runs per task; default by their cost")
      ->check(CLI::Range(1, 1000000));
  command.add_option("--task-minutes", o.task_minutes, "least work of a task by the cost model")
      ->check(CLI::Range(0., 1e6));
  command
      .add_option("--max-array", o.max_array,
                  "tasks per job array, 1: a job for each task; default the cluster's MaxArraySize")
      ->check(CLI::Range(1, 4000001));
  command.add_flag("--dry-run", o.is_dry, "print the batch scripts and commands, and submit nothing");
}

void add_work_options(CLI::App& command, WorkOptions& o) {
  command.add_option("manifest", o.manifest, "manifest.json of a submission")->required();
  command.add_option("--sha256", o.sha256, "of the manifest")->required();
  command.add_option("--task", o.task, "number of the task, from 0")->required();
  command.add_option("--index", o.index, "index in a job array, added to the task");
  command.footer(
      "the scripts of hone submit call this; it uses SLURM_CPUS_PER_TASK cores, or one.\n"
      "SIGUSR1, SIGTERM, SIGINT: saves its runs and exits with 99, which Slurm's RequeueExit puts back into the queue");
}

/// Options of every subcommand on one checkpoint.
void add_checkpoint_options(CLI::App& command, CheckpointOptions& o) {
  command.add_option("checkpoint", o.checkpoint, "llama2.c .bin, or a Hugging Face folder (Llama, GPT-2, GPT-NeoX)")
      ->required();
  command.add_option("--text", o.text, "UTF-8 text files to measure on")->required()->check(CLI::ExistingFile);
  command.add_flag("--keep-bytes", o.keeps_bytes,
                   "take texts of any encoding byte by byte; for tokenizers with a token for every byte");
  command.add_option("--tokenizer", o.tokenizer, "tokenizer.json or tokenizer.bin; default beside the checkpoint");
  command.add_option("--out", o.out, "run file; default outputs/" + command.get_name() + "/NAME.h5");
  command.add_option("--context", o.context, "tokens of context; default the model's, at most 256")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--threads", o.threads, "default all cores")->check(CLI::Range(0, 4096));
  command.add_option("--seed", o.seed, "of everything that is drawn")->check(CLI::Range(0., 1e15));
}

void add_grid_options(CLI::App& command, QuantizeSpec& spec) {
  command.add_option("--grid", spec.grid, "of the weights, see sim/formats/quantizer.hpp");
  command.add_option("--granularity", spec.granularity, "tensor, row or group");
  command.add_option("--group", spec.group, "weights per scale with --granularity group")->check(CLI::Range(0, 65536));
  command.add_option("--scale", spec.scale, "of the weights: real, fp16 (AWQ), fp16_stored (ggml), double_quantized");
}

void add_measure_options(CLI::App& command, MeasureOptions& o) {
  add_checkpoint_options(command, o);
  command.footer(
      "examples:\n"
      "  hone measure stories260K.bin --text story.txt --continue \"Once upon a time\"\n"
      "  hone measure pythia-14m --text book.txt --context 128 --precision float32 --bits 8 4 3 2\n"
      "killed, it goes on from the last Hessian product when the same command is run again");
  command.add_option("--windows", o.measure.evaluation_windows, "windows for losses")->check(CLI::Range(2, 1 << 30));
  command.add_option("--curvature-windows", o.measure.curvature_windows, "an even subset of them for Hessian products")
      ->check(CLI::Range(1, 1 << 30));
  command.add_option("--precision", o.measure.precision, "of Hessian products")
      ->check(CLI::IsMember({"float64", "float32"}));
  command.add_option("--eigenpairs", o.measure.eigenpairs, "at the upper end")->check(CLI::Range(1, 1000));
  command.add_option("--eigenpairs-smallest", o.measure.eigenpairs_smallest, "at the lower end")
      ->check(CLI::Range(0, 1000));
  command.add_option("--lanczos-steps", o.measure.lanczos_steps, "columns of the basis before a restart")
      ->check(CLI::Range(2, 5000));
  command.add_option("--tolerance", o.measure.lanczos_tolerance, "of residuals over the norm")
      ->check(CLI::Range(1e-14, 0.5));
  command.add_option("--block", o.measure.block, "starting vectors, 2 to 4 for multiple eigenvalues")
      ->check(CLI::Range(1, 64));
  command.add_option("--dense-max", o.measure.dense_max, "form the whole matrix up to this many parameters")
      ->check(CLI::Range(0, 5000));
  command.add_option("--slq-probes", o.measure.slq_probes, "of the density")->check(CLI::Range(2, 1000));
  command.add_option("--slq-steps", o.measure.slq_steps, "nodes per probe")->check(CLI::Range(2, 2000));
  command.add_option("--trace-probes", o.measure.trace_probes, "of the traces")->check(CLI::Range(2, 10000));
  command.add_option("--bits", o.quantize.bits, "ladder of weight bits")->check(CLI::Range(1, 16));
  add_grid_options(command, o.quantize);
  command.add_option("--noise", o.noise.rises, "predicted loss rises of injected noise, in nats")
      ->check(CLI::PositiveNumber);
  command.add_option("--continue", o.prompt, "print the greedy continuation of this text");
  command.add_option("--continue-tokens", o.prompt_tokens, "its length")->check(CLI::Range(1, 65536));
  command.add_option("--cache-mib", o.measure.cache_mib, "memory for activations kept between products")
      ->check(CLI::Range(0, 1 << 30));
  command.add_option("--memory", o.memory_gib, "GiB that may be used; default what the machine has")
      ->check(CLI::PositiveNumber);
}

void add_quantize_options(CLI::App& command, QuantizeOptions& o) {
  add_checkpoint_options(command, o);
  command.footer(
      "schemes are COORDINATES+RULE: nothing, smooth+ or rotate+ before one of\n"
      "  rtn mse gptq guided lnq awq                    at every width of --bits\n"
      "  mixed-trace mixed-fisher mixed-fisher-rows mixed-output mixed-share    widths by matrix, --bits on average\n"
      "  nf4 nf4-dq fp8 mxfp4 mxfp6 mxfp8 nvfp4 ternary round to nearest in that format\n"
      "examples:\n"
      "  hone quantize stories260K.bin --text story.txt\n"
      "  hone quantize pythia-14m --text book.txt --schemes rtn gptq rotate+gptq --bits 4 3 --group 64 "
      "--granularity group\n"
      "  hone quantize pythia-14m --text book.txt --schemes rtn smooth+rtn rotate+rtn --activation-bits 8 --bits 8 4");
  command
      .add_option("--calibration", o.calibration, "UTF-8 text files to calibrate on; default the first half of --text")
      ->check(CLI::ExistingFile);
  command.add_option("--windows", o.windows, "windows for losses")->check(CLI::Range(2, 1 << 30));
  command.add_option("--curvature-windows", o.curvature_windows, "an even subset of them for g'e and e'He/2")
      ->check(CLI::Range(1, 1 << 30));
  command.add_option("--calibration-windows", o.spec.calibration_windows, "windows to calibrate on")
      ->check(CLI::Range(1, 1 << 30));
  command.add_option("--schemes", o.spec.schemes, "what to compare, see below");
  command.add_option("--bits", o.spec.scheme_bits, "ladder of weight bits")->check(CLI::Range(1, 16));
  command.add_option("--activation-bits", o.spec.scheme_activation_bits, "of the inputs of linears, per token")
      ->check(CLI::Range(2, 16));
  command.add_option("--activation-granularity", o.spec.activation_granularity,
                     "row = per token; tensor = per sequence");
  command.add_option("--activation-grid", o.spec.activation_grid, "see sim/formats/quantizer.hpp");
  command.add_option("--activation-clip", o.spec.activation_clip, "share of the largest |x| that the grid covers")
      ->check(CLI::Range(1e-3, 1.));
  command.add_option("--activation-range", o.spec.activation_range, "dynamic, or static from the calibration windows")
      ->check(CLI::IsMember({"dynamic", "static"}));
  command.add_option("--activation-percentile", o.spec.activation_percentile, "of static ranges")
      ->check(CLI::Range(50.1, 100.));
  command
      .add_option("--outlier-threshold", o.spec.outlier_threshold, "columns with any |x| above it stay (LLM.int8())")
      ->check(CLI::Range(0., 1e15));
  command.add_option("--outlier-absmax", o.spec.outlier_absmax,
                     "what a token's step leaves out then: columns (the paper) or elements (bitsandbytes)");
  command.add_option("--kv-grid", o.spec.kv_grid, "see sim/formats/quantizer.hpp");
  command.add_option("--kv-bits", o.spec.scheme_kv_bits, "of keys and values, per token and head")
      ->check(CLI::Range(2, 16));
  add_grid_options(command, o.spec);
  command.add_option("--damping", o.spec.damping, "of gptq, a share of the mean of diag H")->check(CLI::Range(0., 1.));
  command.add_option("--smoothing", o.spec.smoothing, "alpha of smooth+")->check(CLI::Range(0., 1.));
}

void add_decode_options(CLI::App& command, DecodeOptions& o) {
  add_checkpoint_options(command, o);
  command.footer(hone::experiments::policy_grammar() +
                 "examples:\n"
                 "  hone decode stories260K.bin --text story.txt\n"
                 "  hone decode pythia-14m --text book.txt --policies token4 kivi2 k4v2-sinks4 --length 2048\n"
                 "  hone decode stories260K.bin --text story.txt --no-policies --average-bits 4 4.5 5");
  command.add_option("--policies", o.spec.policies, "of the cache, see below");
  command.add_flag_callback(
      "--no-policies", [&o] { o.spec.policies.clear(); }, "leave the cache alone");
  command.add_option("--average-bits", o.spec.average_bits, "of weights over the generated tokens")
      ->check(CLI::Range(2., 7.));
  command.add_flag_callback(
      "--no-schedules", [&o] { o.spec.average_bits.clear(); }, "leave the weights alone");
  command.add_option("--length", o.spec.length, "tokens per window; default 8 contexts, 1 with learned positions")
      ->check(CLI::Range(3, 1 << 20));
  command.add_option("--windows", o.spec.windows, "windows, and prompts of free runs")->check(CLI::Range(2, 1000000));
  command.add_option("--prompt", o.spec.prompt, "tokens before a free run; default half a context")
      ->check(CLI::Range(2, 1 << 20));
  command.add_option("--generate", o.spec.generate, "tokens of a free run; default half a context")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--copy-distances", o.spec.copy_distances, "default --copy-block, twice that, ...")
      ->check(CLI::Range(2, 1 << 20));
  command.add_option("--copy-block", o.spec.copy_block, "tokens that are copied")->check(CLI::Range(2, 65536));
  command.add_option("--copy-windows", o.spec.copy_windows, "copies per distance")->check(CLI::Range(2, 1000000));
  command.add_option("--temperature", o.spec.temperature, "of sampling")->check(CLI::Range(1e-3, 1e3));
  command.add_option("--stored-bits", o.spec.stored_bits, "of the nested codes")->check(CLI::Range(3, 8));
}

void add_predict_options(CLI::App& command, PredictOptions& o) {
  command.add_option("sources", o.sources, "study files, folders of studies, run files")
      ->required()
      ->check(CLI::ExistingPath)
      ->type_name("STUDY.toml|FOLDER|RUN.h5...");
  command.footer(
      "two routes, both printed: the curvature of the nearest measured checkpoint, and laws fitted over the runs\n"
      "examples:\n"
      "  hone predict experiments/studies/demo.toml --max-rise 0.02\n"
      "  hone predict outputs/demo --size 2e5 --tokens 2e7 --bits 3 4 5 6 --out plan.json\n"
      "  hone predict outputs/measure/pythia-14m.h5 --max-rise 0.1\n"
      "exit code 5 when neither route has an answer");
  command.add_option("--size", o.asked.N, "quantizable parameters; default the largest model measured")
      ->check(CLI::PositiveNumber);
  command.add_option("--tokens", o.asked.D, "training tokens; default the most of that model")
      ->check(CLI::PositiveNumber);
  command.add_option("--max-rise", o.asked.rise_max, "nats per token that quantizing may cost")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--loss", o.asked.loss_max,
                  "nats per token to reach after quantizing; default full precision "
                  "and --max-rise")
      ->check(CLI::PositiveNumber);
  command.add_option("--budget", o.budget, "FLOPs at 16 bits: also the best precision of training")
      ->check(CLI::PositiveNumber);
  command.add_option("--bits", o.asked.bits, "widths to consider, rising")->check(CLI::Range(2, 16));
  command.add_option("--level", o.asked.level, "of intervals")->check(CLI::Range(0.5, 0.999));
  command.add_option("--out", o.out, "JSON file");
}

std::string join_command_line(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) line += (i ? " " : "") + std::string(argv[i]);
  return line;
}

int dispatch(int argc, char** argv) {
  CLI::App app{
      "Why do language models trained on more tokens break more when they are quantized?\n"
      "hone trains, measures curvature, quantizes, injects noise, and judges.\n\n"
      "  hone plan   experiments/studies/demo.toml      what would run, and what it costs\n"
      "  hone run    experiments/studies/demo.toml      train and measure; Ctrl-C and run again goes on\n"
      "  hone judge  experiments/studies/demo.toml      verdicts with intervals\n"
      "  hone table  experiments/studies/demo.toml      everything measured as one table, HDF5 and CSV\n"
      "  hone report experiments/studies/demo.toml      figures and report.html\n"
      "  hone inspect outputs/demo/runs/FILE.h5 --group ptq\n"
      "  hone submit my.toml --slurm --time 2:00:00     the same runs on a cluster; resubmit adds what is missing\n"
      "  hone status my.toml                            every run: done, running, partly done, failed, missing\n"
      "  hone measure stories260K.bin --text story.txt  loss, certified spectrum and ladder of bits of a checkpoint\n"
      "  hone quantize stories260K.bin --text story.txt schemes of quantization side by side\n"
      "  hone decode   stories260K.bin --text story.txt quantized caches and falling precision, token by token\n"
      "  hone predict  experiments/studies/demo.toml    how many bits a model may lose, from its runs\n"};
  app.name("hone");
  app.require_subcommand(1);
  CommandOptions options;
  options.command_line = join_command_line(argc, argv);
  CLI::App& plan = *app.add_subcommand("plan", "list the runs with their cost and state, and what the study can show");
  CLI::App& run = *app.add_subcommand("run", "train and measure every run that is not finished");
  CLI::App& judge = *app.add_subcommand("judge", "fit, test against the study's thresholds, write verdict.json");
  CLI::App& table = *app.add_subcommand("table", "one row per run, checkpoint and bits: table.h5 and table.csv");
  table.footer(
      "examples:\n"
      "  hone table experiments/studies/demo.toml       writes outputs/demo/table.h5 and table.csv\n"
      "  hone inspect outputs/demo/table.h5             names the columns with their units\n"
      "pandas.read_csv and xarray.open_dataset(..., group=\"table\") read them; hone judge writes them too");
  CLI::App& report = *app.add_subcommand("report", "draw the figures and write report.html");
  report.add_option("--python", options.python,
                    "with h5py and matplotlib; default HONE_PYTHON, python3 in PATH, /usr/bin/python3");
  CLI::App& inspect = *app.add_subcommand("inspect", "print what a run file holds");
  PlanOptions plan_options;
  add_study_options(plan, plan_options);
  add_worker_options(plan, plan_options);
  plan.add_option("--pilot", plan_options.pilot,
                  "folder of finished runs to expect intervals from; default the study's")
      ->check(CLI::ExistingDirectory);
  plan.footer(
      "examples:\n"
      "  hone plan experiments/studies/reference.toml --pilot outputs/demo\n"
      "  hone plan my.toml --jobs 1 --threads 2");
  add_worker_options(run, options);
  CLI::App& submit = *app.add_subcommand("submit", "hand every run that is not finished to a cluster");
  CLI::App& resubmit = *app.add_subcommand("resubmit", "hand over again what is neither finished nor in the queue");
  CLI::App& status = *app.add_subcommand("status", "state of every run; exit code 1 unless all are done");
  for (CLI::App* command : {&run, &judge, &table, &report, &submit, &resubmit, &status})
    add_study_options(*command, options);
  SubmitOptions submit_options;
  submit.add_flag("--slurm", submit_options.is_slurm, "the cluster's queue is Slurm")->required();
  for (CLI::App* command : {&submit, &resubmit}) add_submit_options(*command, submit_options);
  submit.footer(
      "examples:\n"
      "  hone submit my.toml --slurm --dry-run\n"
      "  hone submit my.toml --slurm --partition cpu --time 4:00:00 --cpus 4\n"
      "the folder of the study, the cache (HONE_CACHE) and hone itself must be visible from the nodes under the same "
      "names");
  CLI::App& work = *app.add_subcommand("work", "one task of a submission, as its job array runs it");
  WorkOptions work_options;
  work_options.command_line = options.command_line;
  add_work_options(work, work_options);
  CLI::App& measure = *app.add_subcommand("measure", "every instrument on one public checkpoint");
  MeasureOptions measure_options;
  measure_options.command_line = options.command_line;
  add_measure_options(measure, measure_options);
  CLI::App& quantize = *app.add_subcommand("quantize", "schemes of quantization side by side on one checkpoint");
  QuantizeOptions quantize_options;
  quantize_options.command_line = options.command_line;
  add_quantize_options(quantize, quantize_options);
  CLI::App& decode = *app.add_subcommand("decode", "policies of a quantized cache and schedules of precision");
  DecodeOptions decode_options;
  decode_options.command_line = options.command_line;
  add_decode_options(decode, decode_options);
  CLI::App& predict = *app.add_subcommand("predict", "how many bits may a model lose? By curvature and by fitted laws");
  PredictOptions predict_options;
  add_predict_options(predict, predict_options);
  std::string file, group;
  inspect.add_option("file", file, "run file (HDF5)")->required();
  inspect.add_option("--group", group, "print this group's values");
  CLI11_PARSE(app, argc, argv);
  (void)hone::instruction_class();  // an impossible HONE_ISA is refused before any work
  if (plan.parsed()) return hone::experiments::plan_command(plan_options);
  if (run.parsed()) return hone::experiments::run_command(options);
  if (judge.parsed()) return hone::experiments::judge_command(options);
  if (table.parsed()) return hone::experiments::table_command(options);
  if (measure.parsed()) return hone::experiments::measure_command(measure_options);
  if (quantize.parsed()) return hone::experiments::quantize_command(quantize_options);
  if (decode.parsed()) return hone::experiments::decode_command(decode_options);
  if (predict.parsed()) return hone::experiments::predict_command(predict_options);
  if (report.parsed()) return hone::experiments::report_command(options);
  if (submit.parsed()) return hone::experiments::submit_command(options, submit_options);
  if (resubmit.parsed()) return hone::experiments::resubmit_command(options, submit_options);
  if (status.parsed()) return hone::experiments::status_command(options);
  if (work.parsed()) return hone::experiments::work_command(work_options);
  return hone::experiments::inspect_command(file, group);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes becomes an error that names the file
  try {
    return dispatch(argc, argv);
  } catch (const hone::OptionError& error) {
    std::cerr << "hone: " << error.what() << "\n";
    return 2;
  } catch (const hone::Error& error) {
    std::cerr << "hone: " << error.what() << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "hone: unexpected: " << error.what() << "\n";
    return 3;
  }
}
