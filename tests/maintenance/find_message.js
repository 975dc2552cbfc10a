// Finds the entry of a pasted message on the page "Troubleshooting".
"use strict";

const entries = [...document.querySelectorAll("section > h3")].map((heading) => {
  const permalink = heading.querySelector("a.headerlink").textContent;
  const title = heading.textContent.slice(0, -permalink.length);
  const parts = title.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const known = title.replaceAll("…", "").length;
  return { id: heading.parentElement.id, title, known, pattern: new RegExp(parts.join(".*"), "i") };
});

/** Return the entries that a text has, or else those that have the text, the longest first. */
function findMessage(text) {
  // The page shows code without its backquotes.
  const line = text.replaceAll("`", "").trim().replace(/\s+/g, " ");
  const found = entries.filter((it) => it.pattern.test(line));
  const others = entries.filter((it) => it.title.toLowerCase().includes(line.toLowerCase()));
  return (found.length ? found : others).sort((one, other) => other.known - one.known);
}

const form = document.createElement("p");
form.innerHTML =
  '<label for="message">Paste a message:</label> <input id="message" class="form-control" type="search" autocomplete="off">' +
  '<span id="found" role="status"></span>';
document.querySelector("article h1").after(form);
const message = document.getElementById("message");
const shown = document.getElementById("found");
message.addEventListener("input", () => {
  shown.replaceChildren();
  if (message.value.trim().length < 4) return;
  const found = findMessage(message.value).slice(0, 5);
  if (!found.length) shown.textContent = "No entry has this message.";
  for (const entry of found) {
    const link = document.createElement("a");
    link.href = `#${entry.id}`;
    link.textContent = entry.title;
    shown.append(link, document.createElement("br"));
  }
});
