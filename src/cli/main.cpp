// crate: white-box transformers from the command line. Options in, work, print; the libraries do everything else.
// Exit codes: 0 done, 1 failed (one line on stderr says why), 2 wrong usage.
#include <cstdio>
#include <exception>

#include "base/error.h"
#include "cli/command.h"

int main(int argc, char** argv) {
  CLI::App app{"crate: train, run, measure and explain white-box transformers beside their black-box twins"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "crate 0.1.0");
  app.footer("\n'crate COMMAND --help' tells more about each.");
  for (auto* add : {
           &crate::cli::add_train,    &crate::cli::add_eval,       &crate::cli::add_generate,
           &crate::cli::add_forward,  &crate::cli::add_info,       &crate::cli::add_import,
           &crate::cli::add_export,   &crate::cli::add_data,       &crate::cli::add_ops,
           &crate::cli::add_bench,    &crate::cli::add_grow,       &crate::cli::add_compare,
           &crate::cli::add_compress, &crate::cli::add_decompress, &crate::cli::add_test,
           &crate::cli::add_quantize, &crate::cli::add_report,     &crate::cli::add_atoms,
           &crate::cli::add_explain,  &crate::cli::add_verify,     &crate::cli::add_steer,
           &crate::cli::add_edit,     &crate::cli::add_measure,    &crate::cli::add_attention,
           &crate::cli::add_segment,  &crate::cli::add_pca,        &crate::cli::add_mdl,
           &crate::cli::add_scale,
       }) {
    add(app);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "crate: error: %s\n", e.what());
    return 1;
  }
  return 0;
}
