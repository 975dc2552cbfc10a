// Check workflow files with GitHub's own parser: node workflow_parser.mjs NODE_MODULES FILE...
// It prints a line per finding, and exits 1 when there is one.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// The package imports its JSON without the attribute that Node demands.
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    return specifier.endsWith(".json") ? { ...found, importAttributes: { type: "json" } } : found;
  },
});

const [modules, ...names] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(join(modules, "@actions/workflow-parser/dist", file)));
const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = await load("index.js");
const { ErrorPolicy } = await load("model/convert.js");

for (const name of names) {
  const file = { name, content: readFileSync(name, "utf8") };
  const { context, value } = parseWorkflow(file, new NoOperationTraceWriter());
  // The conversion finds what no schema can express: an unknown job in `needs`, a bad `cron`.
  if (value) {
    await convertWorkflowTemplate(context, value, undefined, {
      errorPolicy: ErrorPolicy.TryConversion,
    });
  }
  for (const { rawMessage, range } of context.errors.getErrors()) {
    console.log(`${name}:${range?.start.line ?? 1}: ${rawMessage.split("\n")[0]}`);
    process.exitCode = 1;
  }
}
