// The list of conversations.

const VERDICT_CHOICES = [
  ["", "all verdicts"],
  ["F", "failures"],
  ["S", "successes"],
  ["I", "invalid"],
  ["O", "open"],
];
const AGAINST_CHOICES = [
  ["", "against the baseline"],
  ["worse", "got worse"],
  ["better", "got better"],
  ["same", "ended the same"],
  ["steps", "ended the same, other grades"],
];

const conversations = {
  trials: [],
  byNumber: new Map(),
  beside: new Map(),
  list: null,
  filter: {},
  said: null,
  asked: 0,
};

/** Rows from the columns of the index. */
function rowsOf(index) {
  const { cells: named, stops, trials } = index;
  const cells = named.map(([scenario, variant, steps]) => ({ scenario, variant, steps, id: `${scenario}/${variant}` }));
  return trials.index.map((number, row) => {
    const cell = cells[trials.cell[row]];
    const marks = trials.steps[row];
    const failed = cell.steps.filter((_, at) => marks[at] === "-");
    const trial = {
      row,
      number,
      cell,
      marks,
      failed,
      scenario: cell.scenario,
      variant: cell.variant,
      verdict: trials.verdict[row],
      instance: trials.instance[row],
      repeat: trials.repeat[row],
      tokens: trials.tokens[row],
      calls: trials.calls[row],
      cost: trials.cost?.[row] ?? null,
      seconds: trials.seconds?.[row] ?? null,
      fault: trials.fault?.[row] ?? null,
      reason: trials.reason?.[row] ?? null,
      place: trials.place?.[row] ?? null,
      serves: trials.serves?.[row] ?? [cell.variant],
      stop: stops[trials.stop[row]],
      base: trials.base[row],
    };
    const facts = [cell.id, `#${number}`, trial.instance, trial.stop, trial.fault ?? "", trial.reason ?? ""];
    trial.words = [...facts, VERDICTS[trial.verdict], ...failed].join(" ");
    return trial;
  });
}

async function showConversations() {
  const index = await source.index();
  conversations.trials = rowsOf(index);
  conversations.byNumber = new Map(conversations.trials.map((trial) => [trial.number, trial]));
  if (index.beside) conversations.beside = new Map(rowsOf(index.beside).map((trial) => [pairKey(trial), trial]));
  const some = (name) => conversations.trials.some((trial) => trial[name]);
  const columns = [
    { name: "#", class: "n", value: (trial) => trial.number, cell: numberCell },
    { name: "verdict", value: (trial) => trial.verdict, cell: verdictCell },
    { name: "conversation", class: "where", value: (trial) => trial.cell.id, cell: whereCell },
    { name: "steps", class: "strip", first: "descending", value: (trial) => trial.failed.length, cell: stripCell },
    { name: "failed", value: (trial) => trial.failed.join(), cell: failedCell },
    some("calls") && { name: "calls", class: "n", value: (trial) => trial.calls, cell: (trial) => count(trial.calls) },
    some("tokens") && {
      name: "tokens",
      class: "n",
      value: (trial) => trial.tokens,
      cell: (trial) => count(trial.tokens),
    },
    some("cost") && {
      name: "cost",
      class: "n",
      value: (trial) => trial.cost,
      cell: (trial) => amount(trial.cost, "$"),
    },
    some("seconds") && {
      name: "seconds",
      class: "n",
      value: (trial) => trial.seconds,
      cell: (trial) => amount(trial.seconds),
    },
  ];
  conversations.list = makeList(byId("list"), columns.filter(Boolean), {
    label: "Conversations",
    row: (trial) => ({ id: `row:${trial.number}` }),
  });
  choices(
    "verdict-filter",
    VERDICT_CHOICES.filter(([code]) => !code || conversations.trials.some((it) => it.verdict === code)),
  );
  const names = (field) => [...new Set(conversations.trials.map((trial) => trial[field]))].sort();
  choices("scenario-filter", [["", "all scenarios"], ...names("scenario").map((name) => [name, name])]);
  choices("variant-filter", [["", "all variants"], ...names("variant").map((name) => [name, name])]);
  if (byId("against-filter")) choices("against-filter", index.beside ? AGAINST_CHOICES : AGAINST_CHOICES.slice(0, -1));
  listen();
  await filterBy({});
}

function choices(id, pairs) {
  byId(id).replaceChildren(...pairs.map(([value, name]) => h("option", { value }, shown(name))));
}

function listen() {
  const fields = {
    "verdict-filter": "verdict",
    "scenario-filter": "scenario",
    "variant-filter": "variant",
    "against-filter": "against",
  };
  for (const [id, name] of Object.entries(fields)) {
    byId(id)?.addEventListener("change", (event) => filterBy({ ...conversations.filter, [name]: event.target.value }));
  }
  let waiting = 0;
  const searched = () => {
    clearTimeout(waiting);
    const inside = byId("inside").checked;
    waiting = setTimeout(
      () => filterBy({ ...conversations.filter, q: byId("search").value, inside: inside && "1" }),
      inside ? 300 : 80,
    );
  };
  byId("search").addEventListener("input", searched);
  byId("inside").addEventListener("change", searched);
  byId("clear").addEventListener("click", () => filterBy({}));
}

/** Show the conversations that a filter lets through, and the filter itself. */
async function filterBy(filter) {
  const asked = ++conversations.asked;
  conversations.filter = Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
  const words = wordsOf(filter.q ?? "");
  let said = null;
  if (filter.inside && words.length) {
    const progress = (done) =>
      asked === conversations.asked && (byId("count").textContent = `searching, ${percent(done)}`);
    said = await saidIn(conversations.trials, words, progress);
    if (asked !== conversations.asked) return;
  }
  const found = conversations.trials.filter((trial) => wanted(trial, conversations.filter, said));
  conversations.list.show(found);
  const successes = found.filter((trial) => trial.verdict === "S").length;
  byId("count").textContent =
    `${count(found.length)} of ${plural(conversations.trials.length, "conversation")}, ${plural(successes, "success").replace("successs", "successes")}`;
  reflect(conversations.filter);
}

/** Put the filter into its fields. */
function reflect(filter) {
  for (const name of ["verdict", "scenario", "variant", "against"]) {
    const field = byId(`${name}-filter`);
    if (field) field.value = filter[name] ?? "";
  }
  if (document.activeElement !== byId("search")) byId("search").value = filter.q ?? "";
  byId("inside").checked = Boolean(filter.inside);
  byId("clear").hidden = Object.keys(filter).length === 0;
  byId("step-filter").hidden = !filter.step;
  if (!filter.step) return;
  const without = { ...filter, step: "", status: "" };
  const verb = filter.status === "failed" ? "failed" : "reached";
  byId("step-filter").replaceChildren(
    h("span", {}, `${verb}: `, h("strong", {}, shown(filter.step))),
    h(
      "button",
      { type: "button", class: "quiet", "aria-label": "Do not filter by step", onclick: () => filterBy(without) },
      "✕",
    ),
  );
}

const numberCell = (trial) => h("a", { href: `#/trial/${trial.number}` }, String(trial.number));

function verdictCell(trial) {
  const against = { worse: " ↓", better: " ↑" }[againstBase(trial)] ?? "";
  const title = { worse: "a success with the baseline", better: "a failure with the baseline" }[againstBase(trial)];
  return h("span", { class: `verdict ${trial.verdict}`, title }, VERDICTS[trial.verdict], against);
}

function whereCell(trial) {
  return [shown(trial.scenario), h("br"), h("span", { class: "range" }, shown(trial.variant))];
}

function stripCell(trial) {
  const kinds = { "+": "p", "-": "f", "?": "u", ".": "" };
  const bars = [...trial.marks].map((mark) => h("i", { class: kinds[mark] }));
  const passed = [...trial.marks].filter((mark) => mark === "+").length;
  return h(
    "span",
    { class: "strip", role: "img", "aria-label": `${passed} passed, ${trial.failed.length} failed` },
    bars,
  );
}

function failedCell(trial) {
  const steps = trial.failed
    .slice(0, 3)
    .map((step, at) => [
      at ? ", " : "",
      h("a", { href: `#/trial/${trial.number}/${encodeURIComponent(step)}` }, shown(step)),
    ]);
  return [steps, trial.failed.length > 3 ? ` and ${trial.failed.length - 3} more` : ""];
}
