"use strict";
// Keys for whoever judges without a mouse, and the colours; the page works without this script.

(() => {
  const byId = (id) => document.getElementById(id);
  const KEPT = "agentkit-theme";

  function kept() {
    try {
      return localStorage.getItem(KEPT);
    } catch {
      return null;
    }
  }

  function switchTheme() {
    const root = document.documentElement;
    const now = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(KEPT, root.dataset.theme);
    } catch {
      // It holds for this page then.
    }
  }

  /** The field of the editor that is in use. */
  function editor() {
    const form = document.querySelector("input[name=form]:checked")?.value ?? "text";
    return byId({ text: "text", call: "arguments", message: "message" }[form]);
  }

  function openEditor() {
    const better = byId("better");
    if (!better) return false;
    better.open = true;
    const field = editor();
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
    better.scrollIntoView({ block: "nearest" });
    return true;
  }

  function press(event) {
    if (event.key === "Escape" && event.target.matches("input, select, textarea")) return event.target.blur();
    if (event.key === "Enter" && event.ctrlKey && event.target.closest("#better")) {
      event.preventDefault();
      return byId("keep").click();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (event.target.matches("input:not([type=radio]), select, textarea")) return;
    if (event.key === "t") return switchTheme();
    if (event.key === "b" && openEditor()) return event.preventDefault();
    if (event.key === "c" && byId("comment")) {
      event.preventDefault();
      return byId("comment").focus();
    }
    if (/^[a-z]$/.test(event.key)) document.querySelector(`button[data-key="${event.key}"]`)?.click();
  }

  // A second press of a button while the first is on its way would judge the next answer unseen.
  let sent = false;
  addEventListener("submit", (event) => (sent ? event.preventDefault() : (sent = true)));
  addEventListener("pageshow", () => (sent = false));

  if (kept() === "light" || kept() === "dark") document.documentElement.dataset.theme = kept();
  byId("theme")?.addEventListener("click", switchTheme);
  addEventListener("keydown", press);
  if (byId("trouble")) byId("trouble").scrollIntoView({ block: "center" });
  else byId("asked")?.scrollIntoView({ block: "nearest" });
  document.documentElement.dataset.ready = "true";
})();
