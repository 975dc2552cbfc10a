"use strict";
/* The page reads data.js: decisions on each line of each file, as start_page/data.py makes them.
   Each earlier version has a file like it, which the page loads when a person picks the version. */

const find = (id) => document.getElementById(id);
const EDITS_AT_MOST = 3000; // lines of one file; beyond that, all lines count as changed

/** The questions and files of the template, for any answers: numbers of choices, in order. */
class Template {
  /** `version` is what git calls the files of the data, or an empty text. */
  constructor(data, version) {
    Object.assign(this, data, { version });
  }

  /** Return what a decision leads to. */
  follow(reference, answers) {
    while (reference < 0) {
      const node = this.nodes[-1 - reference];
      reference = node[1 + answers[node[0]]];
    }
    return this.results[reference];
  }

  defaults() {
    return this.questions.map((question) => question.default);
  }

  /** Return the answers to this version's questions that are nearest to those to another's. */
  nearest(other, answers) {
    const given = new Map(other.named(answers));
    const found = this.questions.map(({ name, values, default: number }) => {
      const at = values.indexOf(given.get(name));
      return at < 0 ? number : at;
    });
    return this.accepted(found)[0];
  }

  /** Return the name of each question with the value of its answer. */
  named(answers) {
    return this.questions.map(({ name, values }, at) => [name, values[answers[at]]]);
  }

  /** Return the answers that Copier would have; add the notes on what it would not accept. */
  accepted(answers, notes = []) {
    const found = [...answers];
    this.questions.forEach((question, at) => {
      const skipped = this.follow(question.skipped, found);
      if (skipped) {
        if (found[at] !== question.default) {
          const answer = `${question.name}=${question.values[found[at]]}`;
          notes[at] = replaced(question, `${answer} does not fit: ${skipped}`);
        }
        found[at] = question.default;
        return;
      }
      const reason = this.follow(question.refused[found[at]], found);
      if (reason) {
        notes[at] = replaced(question, `${question.labels[found[at]]} ${reason}`);
        found[at] = question.default;
      }
    });
    return [found, notes];
  }

  /** Return the text of each file, by its path; `source` is the line with the address. */
  project(answers, source = "") {
    const found = new Map();
    for (const [path, exists, , parts] of this.files) {
      if (this.follow(exists, answers)) {
        const texts = parts.map((part) => this.follow(part, answers) ?? source);
        found.set(path, texts.join(""));
      }
    }
    return found;
  }

  /** Return the answers to the questions that Copier asks and that satisfy a condition. */
  stated(answers, condition) {
    return this.questions.filter(
      (question, at) =>
        !this.follow(question.skipped, answers) && condition(question, answers[at]),
    );
  }

  command(answers, address, options) {
    const changed = this.stated(answers, (question, answer) => answer !== question.default);
    const given = changed.map((question) => {
      const value = question.values[answers[this.questions.indexOf(question)]];
      return `-d ${question.name}=${value}`;
    });
    const version = this.version && [`--vcs-ref ${this.version}`];
    const words = ["uvx copier copy --defaults", ...version, ...(options ?? given), quoted(address)];
    return `${words.join(" ")} my-project`;
  }

  /** Return the answers as a file for Copier's option --data-file. */
  dataFile(answers) {
    return this.stated(answers, () => true)
      .map((question) => this.follow(question.line, answers))
      .join("");
  }

  /** Return the jobs of each workflow. */
  pipelines(answers) {
    return this.workflows
      .map(({ title, jobs }) => ({
        title,
        jobs: jobs
          .map((job) => this.follow(job, answers))
          .filter(Boolean)
          .map((text) => JSON.parse(text)),
      }))
      .filter(({ jobs }) => jobs.length);
  }
}

/** Return the note that an answer became the default for a reason. */
function replaced(question, reason) {
  const label = question.labels[question.default].replace(/\.$/, "");
  return `${reason}. ${question.name} is now: ${label}.`;
}

/** Return a word for a shell. */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Return a line of text as Copier writes it in YAML: in quotes only if it would mean something else. */
function yaml(text) {
  const syntax = /^[#,[\]{}&*!|>'"%@`]|^[?:]( |$)|^\.\.\.|:( |$)| #/;
  const values = /^(~|null|true|false|yes|no|on|off|=|<<|\d+(\.\d*)?)$/i;
  return syntax.test(text) || values.test(text) ? `'${text.replaceAll("'", "''")}'` : text;
}

/** Return the lines of a text, each with its end. */
function linesOf(text) {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** Return the lines of two texts in order: [sign, line], where the sign is " ", "+" or "-". */
function difference(before, after) {
  const [old, now] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < Math.min(old.length, now.length) && old[head] === now[head]) head += 1;
  let tail = 0;
  const most = Math.min(old.length, now.length) - head;
  while (tail < most && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const signed = (sign, lines) => lines.map((line) => [sign, line]);
  return [
    ...signed(" ", now.slice(0, head)),
    ...middle(old.slice(head, old.length - tail), now.slice(head, now.length - tail)),
    ...signed(" ", tail ? now.slice(-tail) : []),
  ];
}

/** Return the shortest edit between two lists of lines: Myers, 1986. */
function middle(old, now) {
  const whole = [...old.map((line) => ["-", line]), ...now.map((line) => ["+", line])];
  if (!old.length || !now.length) return whole;
  const size = old.length + now.length;
  const reach = new Int32Array(2 * size + 3);
  const steps = [];
  for (let edits = 0; edits <= Math.min(size, EDITS_AT_MOST); edits += 1) {
    steps.push(reach.slice(size + 1 - edits - 1, size + 1 + edits + 2));
    for (let slant = -edits; slant <= edits; slant += 2) {
      const at = size + 1 + slant;
      const isDown = slant === -edits || (slant !== edits && reach[at - 1] < reach[at + 1]);
      let x = isDown ? reach[at + 1] : reach[at - 1] + 1;
      while (x < old.length && x - slant < now.length && old[x] === now[x - slant]) x += 1;
      reach[at] = x;
      if (x >= old.length && x - slant >= now.length) return traced(old, now, steps);
    }
  }
  return whole;
}

/** Return the edit that the steps of `middle` have found, from its end. */
function traced(old, now, steps) {
  const found = [];
  let [x, y] = [old.length, now.length];
  for (let edits = steps.length - 1; edits >= 0; edits -= 1) {
    const reach = (slant) => steps[edits][slant + edits + 1];
    const slant = x - y;
    const isDown = slant === -edits || (slant !== edits && reach(slant - 1) < reach(slant + 1));
    const from = isDown ? slant + 1 : slant - 1;
    const startX = edits ? reach(from) : 0;
    const startY = edits ? startX - from : 0;
    while (x > startX && y > startY && !(edits && x === startX + !isDown && y === startY + isDown)) {
      x -= 1;
      y -= 1;
      found.push([" ", now[y]]);
    }
    if (edits && isDown) found.push(["+", now[(y -= 1)]]);
    if (edits && !isDown) found.push(["-", old[(x -= 1)]]);
  }
  return found.reverse();
}

/** Return a new element with attributes and children. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Run a script; the data of an earlier version is one, because a page on disk cannot fetch. */
function run(source) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: source });
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    document.head.append(script);
  });
}

/** Return an unpacked copy of the data: JSON, compressed by gzip, in base64. */
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

/** What the page shows, and what it showed before the last choice.

  `compared` names the earlier version to compare with, or is an empty text. */
class Page {
  constructor(template) {
    this.template = template;
    this.before = null;
    this.compared = "";
    this.earlier = new Map();
    this.wanted = "README.md";
    this.view = "files";
    this.open = new Set();
    this.closed = new Set();
    this.read();
    this.listen();
    this.show();
    this.load();
  }

  /** Return the shown file: that of the last click or link, if there is one. */
  get file() {
    return this.paths.includes(this.wanted) ? this.wanted : "README.md";
  }

  /** Return the version to compare with, once it is there. */
  get other() {
    return this.earlier.get(this.compared);
  }

  get address() {
    // A "-" at the start would make it an option of Copier.
    return find("address").value.trim().replace(/^-/, "./-");
  }

  /** Return the files of a version with some answers, as text by path. */
  project(answers, version = this.template) {
    return version.project(answers, `_src_path: ${yaml(this.address || "ADDRESS")}\n`);
  }

  /** Take the answers, the file and the view from the address of the page. */
  read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const { questions } = this.template;
    const notes = [];
    const answers = questions.map((question, number) => {
      const value = given.get(question.name) ?? question.values[question.default];
      const at = question.values.indexOf(value);
      if (at >= 0) return at;
      notes[number] = replaced(question, `${question.name}=${value} is not a choice`);
      return question.default;
    });
    const known = [...questions.map(({ name }) => name), "view", "file", "compare"];
    const others = [...given.keys()].filter((name) => !known.includes(name));
    const unknown = others.map((name) => `This page has no question ${name}.`);
    const compared = given.get("compare") ?? "";
    this.compared = option(compared) ? compared : "";
    if (compared !== this.compared) unknown.push(`This page has no version ${compared}.`);
    notes[questions.length] = unknown.join(" ");
    [this.answers, this.notes] = this.template.accepted(answers, notes);
    if (given.has("file")) this.wanted = given.get("file");
    if (["files", "pipeline"].includes(given.get("view"))) this.view = given.get("view");
  }

  /** Return the fragment of an address that shows the same. */
  fragment() {
    const words = [...this.template.named(this.answers), ["view", this.view], ["file", this.file]];
    if (this.compared) words.push(["compare", this.compared]);
    return `#${new URLSearchParams(words)}`;
  }

  /** Load the version to compare with, unless it is there, and show the comparison. */
  async load() {
    const version = this.compared;
    if (!version || this.other) return;
    const { file } = option(version).dataset;
    this.announce(`Loading ${version} …`);
    try {
      await run(file);
      this.earlier.set(version, new Template(await unpack(globalThis.SLIPWAY_EARLIER[version]), version));
    } catch {
      if (this.compared !== version) return;
      this.compared = "";
      const reason = `${file} is missing or not complete. Put it next to the page.`;
      this.notes[this.template.questions.length] = `The page cannot read ${version}: ${reason}`;
    }
    this.show();
  }

  listen() {
    find("questions").addEventListener("change", (event) => this.choose(event.target));
    find("reset").addEventListener("click", () => this.answer(this.template.defaults()));
    find("copy").addEventListener("click", () => {
      const missing = this.address ? "" : " Replace ADDRESS by the template's address.";
      this.copy(this.command(), "the command", missing);
    });
    find("share").addEventListener("click", () => {
      this.copy(location.href.replace(/#.*|$/, this.fragment()), "a link to these answers");
    });
    find("copy-file").addEventListener("click", () => {
      this.copy(this.now.get(this.file), this.file);
    });
    find("address").addEventListener("input", () => this.show());
    find("only").addEventListener("change", () => this.showTree());
    find("compare")?.addEventListener("change", (event) => {
      this.compared = event.target.value;
      history.replaceState(null, "", this.fragment());
      this.show();
      this.load();
    });
    for (const tab of document.querySelectorAll("[role=tab]")) {
      tab.addEventListener("click", () => this.select(tab.getAttribute("aria-controls")));
      tab.addEventListener("keydown", (event) => {
        if (["ArrowLeft", "ArrowRight"].includes(event.key)) {
          this.select(this.view === "files" ? "pipeline" : "files");
          find(`tab-${this.view}`).focus();
        }
      });
    }
    for (const link of document.querySelectorAll("a[href^='#']")) {
      // The fragment of the address has the answers, so a link must not replace it.
      link.addEventListener("click", (event) => {
        event.preventDefault();
        const target = find(link.getAttribute("href").slice(1));
        target.focus({ preventScroll: true });
        target.scrollIntoView();
      });
    }
    addEventListener("hashchange", () => {
      if (location.hash !== this.fragment()) {
        const before = this.answers;
        this.read();
        if (String(before) !== String(this.answers)) this.before = before;
        this.show();
        this.load();
      }
    });
    addEventListener("resize", () => this.drawArrows());
  }

  /** Take the answer that a person has chosen. */
  choose(input) {
    const at = this.template.questions.findIndex(({ name }) => name === input.name);
    this.answer(this.answers.with(at, Number(input.value)));
  }

  answer(answers) {
    const [accepted, notes] = this.template.accepted(answers);
    const isNew = String(accepted) !== String(this.answers);
    if (isNew) this.before = this.answers;
    [this.answers, this.notes] = [accepted, notes];
    history[isNew ? "pushState" : "replaceState"](null, "", this.fragment());
    this.show();
  }

  select(view) {
    this.view = view;
    history.replaceState(null, "", this.fragment());
    this.showViews();
  }

  async copy(text, name, advice = "") {
    try {
      await navigator.clipboard.writeText(text);
      this.announce(`Copied ${name}.${advice}`);
    } catch {
      this.announce(`This browser does not let the page copy ${name}: select and copy it.`);
    }
  }

  announce(text) {
    find("status").textContent = text;
  }

  command() {
    return this.template.command(this.answers, this.address || "ADDRESS");
  }

  show() {
    this.now = this.project(this.answers);
    this.then = this.before ? this.project(this.before) : this.now;
    if (this.other) this.then = this.project(this.other.nearest(this.template, this.answers), this.other);
    this.paths = [...new Set([...this.now.keys(), ...this.then.keys()])].sort();
    this.showQuestions();
    this.showCommand();
    this.showComparison();
    this.showTree();
    this.showFile();
    this.showPipelines();
    this.showViews();
    this.announce(this.summary());
  }

  /** Return what the last choice, or the versions since the compared one, did to a file. */
  change(path) {
    if (!this.then.has(path)) return "added";
    if (!this.now.has(path)) return "removed";
    return this.then.get(path) === this.now.get(path) ? "" : "changed";
  }

  summary() {
    const size = `${this.now.size} files`;
    const missing = this.address ? "" : " Enter the template's address to complete the command.";
    const notes = this.notes.filter(Boolean).map((note) => ` ${note}`).join("");
    if (!this.before && !this.other) return `${size}.${notes}${missing}`;
    const choices = this.template
      .named(this.answers)
      .filter((_, at) => this.before && this.before[at] !== this.answers[at])
      .map(([name, value]) => `${name} is ${value}`);
    const since = this.other ? `Since ${this.compared}` : choices.join(", ");
    const count = (kind) => this.paths.filter((path) => this.change(path) === kind).length;
    const counts = `${count("added")} files added, ${count("removed")} removed, ${count("changed")} changed`;
    return `${since}: ${counts}; ${size} in all.${notes}`;
  }

  /** Show which version is compared, and the answers that it does not share with this one. */
  showComparison() {
    const { compared, other } = this;
    find("only-text").textContent = other ? `Only what differs from ${compared}` : "Only what the last choice changed";
    if (!find("compare")) return;
    find("compare").value = compared;
    find("compare-note").textContent = other ? notesOn(this.template, this.answers, other) : "";
  }

  showQuestions() {
    this.template.questions.forEach((question, at) => {
      const skipped = this.template.follow(question.skipped, this.answers);
      const note = find(`note-${question.name}`);
      note.textContent = skipped || this.notes[at] || "";
      note.classList.toggle("reset", !skipped && Boolean(this.notes[at]));
      const inputs = find(`question-${question.name}`).querySelectorAll("input");
      inputs.forEach((input, choice) => {
        const reason = this.template.follow(question.refused[choice], this.answers);
        input.checked = choice === this.answers[at];
        input.disabled = Boolean(skipped || reason);
        input.parentElement.classList.toggle("off", input.disabled);
        find(`why-${question.name}-${choice}`).textContent = skipped ? "" : reason;
      });
    });
  }

  showCommand() {
    const words = this.command().match(/-d \S+|'.*'|\S+/g);
    const spans = words.flatMap((word, at) => [at ? " " : "", element("span", {}, word)]);
    find("command").firstElementChild.replaceChildren(...spans);
    const file = this.template.dataFile(this.answers);
    find("download").href = `data:application/yaml;charset=utf-8,${encodeURIComponent(file)}`;
    const address = this.address || "ADDRESS";
    const options = ["--data-file answers.yml"];
    find("data-command").textContent = this.template.command(this.answers, address, options);
  }

  showTree() {
    const only = find("only").checked;
    const shown = this.paths.filter((path) => !only || this.change(path));
    const root = new Map();
    for (const path of shown) {
      let folder = root;
      const names = path.split("/");
      for (const name of names.slice(0, -1)) {
        if (!folder.has(name)) folder.set(name, new Map());
        folder = folder.get(name);
      }
      folder.set(names.at(-1), path);
    }
    const sentence = this.other ? `No file differs from ${this.compared}.` : "The last choice changed no file.";
    const none = element("p", {}, sentence);
    find("tree").replaceChildren(shown.length ? this.branch(root, "") : none);
  }

  /** Return a list of a folder's entries, folders first. */
  branch(folder, prefix) {
    const list = element("ul");
    const entries = [...folder].sort(([, a], [, b]) => (a instanceof Map ? 0 : 1) - (b instanceof Map ? 0 : 1));
    for (const [name, entry] of entries) {
      list.append(element("li", {}, entry instanceof Map ? this.folder(name, entry, prefix) : this.leaf(name, entry)));
    }
    return list;
  }

  folder(name, entry, prefix) {
    const path = `${prefix}${name}/`;
    const isTouched = this.paths.some((it) => it.startsWith(path) && this.change(it));
    const isOpen = this.open.has(path) || (!this.closed.has(path) && (isTouched || this.file.startsWith(path)));
    const made = element("details", { open: isOpen }, element("summary", {}, `${name}/`), this.branch(entry, path));
    made.firstChild.addEventListener("click", () => {
      const [to, from] = made.open ? [this.closed, this.open] : [this.open, this.closed];
      to.add(path);
      from.delete(path);
    });
    return made;
  }

  leaf(name, path) {
    const change = this.change(path);
    const button = element(
      "button",
      { type: "button", class: change, "data-path": path, "aria-current": path === this.file && "true" },
      element("span", {}, name),
    );
    if (change) button.append(element("span", { class: `mark ${change}` }, change));
    button.addEventListener("click", () => {
      this.wanted = path;
      history.replaceState(null, "", this.fragment());
      find("tree").querySelector("[aria-current]")?.removeAttribute("aria-current");
      button.setAttribute("aria-current", "true");
      this.showFile();
    });
    return button;
  }

  showFile() {
    const [before, after] = [this.then.get(this.file) ?? "", this.now.get(this.file) ?? ""];
    const lines = difference(before, after);
    const files = [...this.template.files, ...(this.other?.files ?? [])];
    const isExecutable = files.find(([path]) => path === this.file)[2];
    const count = (sign) => lines.filter(([it]) => it === sign).length;
    const facts = [`${count(" ") + count("+")} lines`];
    if (this.change(this.file)) facts.push(`${count("+")} added`, `${count("-")} removed`);
    if (isExecutable) facts.push("executable");
    find("file-name").textContent = this.file;
    find("copy-file").disabled = !this.now.has(this.file);
    find("file-facts").textContent = facts.join(" · ");
    let number = 0;
    const rows = lines.map(([sign, line]) => {
      if (sign !== "-") number += 1;
      const tag = { "+": "ins", "-": "del", " ": "span" }[sign];
      const kind = { "+": "added", "-": "removed", " ": false }[sign];
      return element(
        "li",
        { class: kind, "data-line": sign === "-" ? "" : number },
        element("span", { class: "sign", "aria-hidden": "true" }, sign),
        element(tag, {}, line.replace(/\n$/, "")),
      );
    });
    find("content").replaceChildren(element("ol", {}, ...rows));
    const first = find("content").querySelector(".added, .removed");
    find("content").scrollTop = first ? Math.max(0, first.offsetTop - find("content").offsetTop - 60) : 0;
  }

  showViews() {
    for (const tab of document.querySelectorAll("[role=tab]")) {
      const isSelected = tab.getAttribute("aria-controls") === this.view;
      tab.setAttribute("aria-selected", String(isSelected));
      tab.tabIndex = isSelected ? 0 : -1;
      find(tab.getAttribute("aria-controls")).hidden = !isSelected;
    }
    this.drawArrows();
  }

  showPipelines() {
    const earlier = this.before ? this.template.pipelines(this.before) : null;
    const flows = this.template.pipelines(this.answers).map(({ title, jobs }) => {
      const then = earlier?.find((flow) => flow.title === title)?.jobs ?? [];
      return flowOf(title, jobs, earlier ? then : jobs);
    });
    const at = this.template.questions.findIndex(({ name }) => name === "ci_provider");
    const provider = this.template.questions[at].labels[this.answers[at]];
    const intro = element("p", {}, `${provider} runs these jobs. An arrow points to a job that waits for another one.`);
    if (this.other) intro.append(` The marks are those of the last choice, not what differs from ${this.compared}.`);
    find("pipeline").replaceChildren(intro, ...flows);
  }

  /** Draw an arrow from each job to those that need it. */
  drawArrows() {
    if (this.view !== "pipeline") return;
    for (const flow of find("pipeline").querySelectorAll(".flow")) drawArrows(flow);
  }
}

/** Return the option of an earlier version that this page has. */
function option(version) {
  return [...(find("compare")?.options ?? [])].find(({ value }) => value === version);
}

/** Return the questions and answers that a version does not share with another one's answers. */
function notesOn(template, answers, other) {
  const nearest = other.nearest(template, answers);
  const [here, there] = [new Map(template.named(answers)), new Map(other.named(nearest))];
  const missing = template.stated(answers, ({ name }) => !there.has(name));
  const asked = other.stated(nearest, () => true).map(({ name }) => name);
  const own = [...there].filter(([name, value]) => here.get(name) !== value && (here.has(name) || asked.includes(name)));
  const names = missing.map(({ name }) => name).join(", ");
  const values = own.map((answer) => answer.join("=")).join(", ");
  const notes = [names && `${other.version} does not ask ${names}.`, values && `Its other answers: ${values}.`];
  return notes.filter(Boolean).join(" ");
}

/** Return a workflow as a list of stages: a job comes after those that it needs. */
function flowOf(title, jobs, before) {
  const stages = [];
  const depths = new Map();
  const put = (depth, node) => (stages[depth] ??= []).push(node);
  for (const job of inOrder(jobs)) {
    let depth = Math.max(0, ...(job.needs ?? []).map((name) => depths.get(name) + 1));
    let needs = direct(job, jobs);
    if (job.manual) {
      put(depth, approval(job.name, needs));
      needs = [`approve ${job.name}`];
      depth += 1;
    }
    depths.set(job.name, depth);
    put(depth, card(job, needs, before));
  }
  const list = element("ol", { tabindex: "0", "aria-label": `Order of the jobs: ${title}` }, ...stages.map((nodes) => element("li", {}, ...nodes)));
  return element("section", { class: "flow", "aria-label": title }, element("h3", {}, title), list, tableOf(title, jobs, before));
}

/** Return jobs so that each comes after those that it needs. */
function inOrder(jobs) {
  const found = [];
  const add = (job) => {
    if (found.includes(job)) return;
    for (const name of job.needs ?? []) add(jobs.find((it) => it.name === name));
    found.push(job);
  };
  jobs.forEach(add);
  return found;
}

/** Return the needs of a job, without those that its other needs imply. */
function direct(job, jobs) {
  const all = (name) => {
    const needs = jobs.find((it) => it.name === name).needs ?? [];
    return [...needs, ...needs.flatMap(all)];
  };
  const needs = job.needs ?? [];
  return needs.filter((name) => !needs.flatMap(all).includes(name));
}

function approval(name, needs) {
  const attributes = { class: "job gate", "data-job": `approve ${name}`, "data-needs": needs.join("\n") };
  return element("div", attributes, "A person", element("br"), "approves");
}

/** Return what the last choice did to a job. */
function changeOf(job, before) {
  const old = before.find(({ name }) => name === job.name);
  if (!old) return "added";
  return JSON.stringify(old) === JSON.stringify(job) ? "" : "changed";
}

/** Return the name of a job, with what the last choice did to it. */
function titleOf(job, before) {
  const change = changeOf(job, before);
  const title = element("span", { class: "name" }, job.name);
  if (change) title.append(" ", element("span", { class: `mark ${change}` }, change));
  return title;
}

/** Return the box of a job in the picture. */
function card(job, needs, before) {
  const tags = [];
  const change = changeOf(job, before);
  if (change) tags.push(element("small", { class: `mark ${change}` }, change));
  if (job.secrets.length) tags.push(element("small", { class: "secret" }, "sees secrets"));
  if (job.write_permissions) tags.push(element("small", {}, `writes ${job.write_permissions.join(", ")}`));
  if (job.may_fail) tags.push(element("small", {}, "may fail"));
  const kind = `job ${change} ${job.secrets.length ? "trusted" : ""}`;
  const attributes = { class: kind, "data-job": job.name, "data-needs": needs.join("\n") };
  return element("div", attributes, element("span", { class: "name" }, job.name), ...tags);
}

/** Return a table of what each job runs, sees and may do. */
function tableOf(title, jobs, before) {
  const code = (words) => words.flatMap((word, at) => [at ? ", " : "", element("code", {}, word)]);
  const rows = jobs.map((job) => {
    const also = [];
    if (job.manual) also.push("waits for an approval");
    if (job.main_only) also.push("only on main");
    if (job.needs) also.push(`after ${job.needs.join(", ")}`);
    if (job.services) also.push(`with ${job.services.join(", ")}`);
    if (job.inputs) also.push(`a person can set ${job.inputs.join(", ")}`);
    if (job.may_fail) also.push("the pipeline passes if it fails");
    const secrets = job.secrets.join(", ");
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, titleOf(job, before)),
      element("td", {}, ...code(job.run)),
      element("td", { class: secrets && "secret" }, secrets || "no secret"),
      element("td", {}, job.write_permissions?.join(", ") ?? "none"),
      element("td", {}, also.join("; ")),
    );
  });
  const heads = ["Job", "Runs", "Sees", "Write permissions", "Also"];
  const head = element("tr", {}, ...heads.map((it) => element("th", { scope: "col" }, it)));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Jobs: ${title}` }, table);
}

function drawArrows(flow) {
  const list = flow.querySelector("ol");
  list.querySelector("svg")?.remove();
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("aria-hidden", "true");
  drawing.setAttribute("width", list.scrollWidth);
  drawing.setAttribute("height", list.scrollHeight);
  const origin = list.getBoundingClientRect();
  const isColumn = getComputedStyle(list).flexDirection === "column";
  const jobs = new Map([...flow.querySelectorAll(".job")].map((it) => [it.dataset.job, it]));
  const box = (node) => {
    const { left, top, width, height } = node.getBoundingClientRect();
    return { x: left - origin.left + list.scrollLeft, y: top - origin.top, width, height };
  };
  for (const job of jobs.values()) {
    for (const name of job.dataset.needs.split("\n").filter(Boolean)) {
      const [from, to] = [box(jobs.get(name)), box(job)];
      const path = document.createElementNS(space, "path");
      path.setAttribute("d", isColumn ? downward(from, to) : sideward(from, to));
      drawing.append(path);
    }
  }
  list.append(drawing);
}

/** Return the path of an arrow between two boxes next to each other. */
function sideward(from, to) {
  const [x, y] = [from.x + from.width, from.y + from.height / 2];
  const [endX, endY] = [to.x, to.y + to.height / 2];
  const turn = endX - 13;
  return `M ${x} ${y} H ${turn} V ${endY} H ${endX} m -6 -4 l 6 4 l -6 4`;
}

/** Return the path of an arrow between two boxes below each other, on their left if another is between. */
function downward(from, to) {
  const bottom = from.y + from.height;
  if (to.y - bottom < 20) return `M ${from.x + 24} ${bottom} V ${to.y} m -4 -6 l 4 6 l 4 -6`;
  const [x, y] = [from.x, from.y + from.height / 2];
  const endY = to.y + to.height / 2;
  return `M ${x} ${y} H ${x - 9} V ${endY} H ${to.x} m -6 -4 l 6 4 l -6 4`;
}

addEventListener("DOMContentLoaded", async () => {
  try {
    const template = new Template(await unpack(globalThis.SLIPWAY), find("address").dataset.version);
    globalThis.startPage = new Page(template);
  } catch (error) {
    const reason = globalThis.SLIPWAY
      ? `${error.message}. Use a newer browser.`
      : "data.js is missing or not complete. Put it next to the page.";
    find("status").textContent = `The page cannot read its data: ${reason}`;
    find("status").classList.add("warning");
  }
});
