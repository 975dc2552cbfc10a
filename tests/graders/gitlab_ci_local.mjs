// Expand pipeline files with gitlab-ci-local: node gitlab_ci_local.mjs PROGRAM FOLDER...
// It prints a line of JSON for each folder: the exit code, and what the program printed.
// Most of the program's time is its start, so one process runs it for several folders.
import { pathToFileURL } from "node:url";

const [program, ...folders] = process.argv.slice(2);
const { exit } = process;
const write = process.stdout.write.bind(process.stdout);
const results = [];
// Each run of the program listens for signals.
process.setMaxListeners(0);

for (const folder of folders) {
  const result = { code: null, stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) {
    process[stream].write = (text) => Boolean((result[stream] += text));
  }
  process.chdir(folder);
  process.env.HOME = folder;
  // The schema has a grader of its own.
  process.argv = [process.argv[0], program, "--preview", "--no-json-schema-validation"];
  const ended = new Promise((resolve) => {
    process.exit = (code) => resolve(code ?? 0);
  });
  // Another address is another module, which runs from its beginning.
  await import(`${pathToFileURL(program)}?${results.length}`);
  result.code = await ended;
  results.push(JSON.stringify(result));
}

process.stdout.write = write;
write(results.join("\n"), () => exit(0));
