// One conversation, whole.

const reading = { trial: null, from: 0, alone: false };

async function read(number, step) {
  const trial = conversations.byNumber.get(number);
  if (!trial) return close();
  const again = reading.trial === trial;
  reading.trial = trial;
  if (!again) {
    if (!(await fill(trial))) return undefined;
  }
  if (byId("reader").hidden) reading.from = window.scrollY;
  byId("report").hidden = true;
  byId("reader").hidden = false;
  document.title = spelled(`${trial.cell.id} #${trial.number}`);
  if (step) mark(step);
  else if (!again) {
    window.scrollTo(0, 0);
    byId("reader").querySelector("h1").focus({ preventScroll: true });
  }
  return undefined;
}

/** The conversation's page, with the baseline's beside it where the file holds that; false where another was opened. */
async function fill(trial) {
  const other = besideOf(trial);
  const [talk, base] = await Promise.all([conversation(trial), other ? conversation(other) : null]);
  if (reading.trial !== trial) return false;
  const pair = talk && base;
  byId("reader").classList.toggle("paired", Boolean(pair) && !reading.alone);
  byId("reader").replaceChildren(...pageOf(trial, talk, pair ? { ...base, side: "base" } : null));
  return true;
}

/** Back to the report, where it was left. */
function close() {
  if (byId("reader").hidden) return;
  byId("reader").hidden = true;
  byId("report").hidden = false;
  const row = reading.trial && byId(`row:${reading.trial.number}`);
  reading.trial = null;
  window.scrollTo(0, reading.from);
  if (row) {
    row.classList.add("current");
    row.querySelector("a").focus({ preventScroll: true });
  }
}

function pageOf(trial, talk, base) {
  const head = headOf(trial, talk, base);
  if (!talk) {
    const text = `This file had no room for what was said: agentkit show ${facts.run} --trial ${trial.number} prints it.`;
    return [head, h("p", { class: "notice" }, text)];
  }
  if (base && !reading.alone) return [head, ...pairBlocks(base, talk), ...pairEnds(base, talk)];
  const it = partsOf(talk);
  const blocks = [...it.turns.keys()]
    .sort((a, b) => a - b)
    .map((turn) =>
      h(
        "section",
        { class: "turn" },
        h("h2", {}, turnTitle(turn)),
        saidOf(talk, it.turns.get(turn), it.failed),
        marginOf(talk, it.gradesOf(turn), "Grades"),
      ),
    );
  return [
    head,
    ...blocks,
    it.later.length ? endOf("Not reached", "", marginOf(talk, it.later)) : "",
    talk.outcome.length
      ? endOf("Outcome", "What held at the end, as a customer would judge it.", marginOf(talk, talk.outcome))
      : "",
  ];
}

const turnTitle = (turn) => (turn < 0 ? "Before" : `Turn ${turn + 1}`);

/** A conversation by turns, the steps that failed by the place of their message, and the grades of no turn. */
function partsOf(talk) {
  const failed = new Map();
  for (const grade of [...talk.steps, ...talk.outcome]) {
    if (grade.status !== "-") continue;
    const at = placeOf(talk, grade);
    failed.set(at, [...(failed.get(at) ?? []), grade.step]);
  }
  const turns = new Map();
  talk.messages.forEach((message, place) =>
    turns.set(message.turn, [...(turns.get(message.turn) ?? []), [message, place]]),
  );
  return {
    talk,
    failed,
    turns,
    gradesOf: (turn) => talk.steps.filter((grade) => grade.turn === turn),
    later: talk.steps.filter((grade) => !turns.has(grade.turn)),
  };
}

/** The message in which a step failed: where its span says, else its call in that turn, else the agent's last word. */
function placeOf(talk, grade) {
  if (grade.at !== undefined) return grade.at;
  const inTurn = (it) => it.turn === grade.turn && it.role === "assistant";
  const made = textOf(talk, grade.found)[0];
  const called = (it) => it.calls?.some(([name]) => made.includes(`"name":${JSON.stringify(name)}`));
  const at = grade.check.includes("call") && made ? talk.messages.findLastIndex((it) => inTurn(it) && called(it)) : -1;
  return at >= 0 ? at : talk.messages.findLastIndex(inTurn);
}

const endOf = (title, text, margin) =>
  h("section", { class: "turn" }, h("h2", {}, title), h("p", { class: "faint" }, text), margin);

function headOf(trial, talk, base) {
  const at = conversations.list.rows.indexOf(trial);
  const step = (by) => conversations.list.rows[at + by];
  const move = (by, name) => {
    const to = at < 0 ? undefined : step(by);
    return h("button", { type: "button", disabled: !to, onclick: () => to && go(`#/trial/${to.number}`) }, name);
  };
  const bits = [
    ["trial", trial.number],
    ["instance", trial.instance],
    ["repeat", trial.repeat || null],
    ["id", talk?.id],
    ["trace", talk?.trace],
    ["conversation", talk && textOf(talk, talk.conversation)[0]],
    ["started", talk?.started],
    ["took", trial.seconds === null ? null : seconds(trial.seconds)],
    ["model calls", trial.calls || null],
    ["tokens", trial.tokens ? count(trial.tokens) : null],
    ["cost", trial.cost ? amount(trial.cost, "$") : null],
    ["ended by", trial.stop === "completed" ? null : trial.stop],
    ["at fault", trial.verdict === "I" ? trial.fault : null],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  const reason = talk ? textOf(talk, talk.reason) : [trial.reason ?? "", 0];
  return h(
    "header",
    { class: "head" },
    h(
      "div",
      { class: "moves" },
      h("button", { type: "button", onclick: () => go("#/conversations") }, "← All conversations"),
      move(-1, "Previous"),
      move(1, "Next"),
      trial.failed.length ? h("button", { type: "button", onclick: nextFailed }, "Next failed step") : "",
      base
        ? h(
            "button",
            { type: "button", "aria-pressed": String(!reading.alone), onclick: turnBeside },
            "Baseline beside",
          )
        : "",
      at < 0 ? "" : h("span", { class: "count" }, `${count(at + 1)} of ${count(conversations.list.rows.length)}`),
    ),
    h(
      "h1",
      { tabindex: "-1" },
      shown(trial.scenario),
      h("span", { class: "variant" }, " · ", shown(trial.variant)),
      " ",
      h("span", { class: `verdict ${trial.verdict}` }, VERDICTS[trial.verdict]),
    ),
    h(
      "p",
      { class: "bits" },
      bits.map(([name, value]) => h("span", {}, `${name} `, h("code", {}, shown(String(value))))),
    ),
    reason[0] ? h("p", { class: "notice" }, long(...reason)) : "",
    besideHead(trial, talk),
    talk?.fork
      ? h(
          "p",
          { class: "notice" },
          `A fork: the agent played turn ${talk.fork[1] + 1} only; what came before was given to it.`,
        )
      : "",
    talk ? plannedBlock(talk) : "",
    talk?.variables === undefined
      ? ""
      : h(
          "details",
          {},
          h("summary", {}, "Variables of this instance"),
          h("pre", { class: "text" }, long(pretty(textOf(talk, talk.variables)[0]))),
        ),
  );
}

/** Show the baseline beside, or this run alone. */
async function turnBeside() {
  reading.alone = !reading.alone;
  if (await fill(reading.trial)) byId("reader").querySelector("button[aria-pressed]").focus({ preventScroll: true });
  announce(reading.alone ? "this run alone" : "the baseline beside");
}

function plannedBlock(talk) {
  return (talk.planned ?? []).map(([detour, intensity, effect, occasions, disturbed, evidence]) =>
    h(
      "p",
      { class: "notice" },
      h("strong", {}, shown(detour)),
      ` at ${intensity}: ${effect.replace("_", " ")}, ${disturbed} of ${plural(occasions, "occasion")}. `,
      long(...textOf(talk, evidence)),
    ),
  );
}

const stepElement = (step) => byId(`grade:${step}`);

function mark(step) {
  for (const element of byId("reader").querySelectorAll(".here")) element.classList.remove("here");
  const element = stepElement(step);
  if (!element) return;
  element.classList.add("here");
  const said = element.closest(".side, .turn").querySelector(".failed-here");
  (element.getBoundingClientRect().height ? element : said).scrollIntoView({ block: "center" });
  element.focus({ preventScroll: true });
}

function nextFailed() {
  const failed = reading.trial?.failed ?? [];
  if (!failed.length) return;
  const here = byId("reader").querySelector(".here");
  const at = here ? failed.findIndex((step) => stepElement(step) === here) : -1;
  go(`#/trial/${reading.trial.number}/${encodeURIComponent(failed[(at + 1) % failed.length])}`);
}
