/* The cards of the pools: elements that are kept from one refresh to the next, and filled in anew.

Data becomes text, never markup. These are classic scripts, not modules: a module from another host, as where STATIC_URL
is a CDN's, needs that host's permission, and admin's own scripts don't. */
"use strict";

const PoolCards = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const NONE = "–";
  const language = document.documentElement.lang || undefined;
  const count = new Intl.NumberFormat(language);
  //: Up to so many of it (first) a time is said in this unit, of so many seconds.
  const UNITS = [[1000, "millisecond", 0.001], [120, "second", 1], [120, "minute", 60], [Infinity, "hour", 3600]];

  /** Say a time in words of the page's language; null is none. */
  function duration(seconds) {
    if (seconds === null || seconds === undefined) return NONE;
    const [, unit, size] = UNITS.find(([most, , size]) => seconds / size < most);
    const value = seconds / size;
    const format = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: value < 10 ? 1 : 0 };
    return new Intl.NumberFormat(language, format).format(value);
  }

  /** Put values in the places of words. */
  function format(words, values) {
    return words.replace(/\{(\w+)\}/g, (place, name) => {
      const value = name in values ? values[name] : place;
      return typeof value === "number" ? count.format(value) : value ?? NONE;
    });
  }

  /** Set an element's text if it is another, so that a selection in it stays. */
  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  /** Fill an element's words in. */
  function say(element, values, words = element.dataset.words) {
    setText(element, format(words, values));
  }

  /** Return a copy of a template's element, and its fields by name. */
  function copyOf(id) {
    const element = document.getElementById(id).content.firstElementChild.cloneNode(true);
    return { element, fields: fieldsOf(element) };
  }

  function fieldsOf(element) {
    return Object.fromEntries([...element.querySelectorAll("[data-field]")].map((field) => [field.dataset.field, field]));
  }

  /** Fill a list with texts; without any it is hidden. */
  function list(element, texts) {
    element.hidden = texts.length === 0;
    if ([...element.children].map((item) => item.textContent).join("\n") === texts.join("\n")) return;
    element.replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  }

  /** Make the parts of a bar as long as their numbers say. */
  function bar(element, ...numbers) {
    [...element.children].forEach((part, index) => {
      part.style.flexGrow = numbers[index];
      part.hidden = numbers[index] <= 0;
    });
  }

  /** Give an element its place, and keep the focus in it. */
  function place(parent, element, before) {
    if (element.nextSibling === before && element.parentNode === parent) return;
    const focused = document.activeElement;
    parent.insertBefore(element, before);
    if (element.contains(focused)) focused.focus({ preventScroll: true });
  }

  /** Let a parent have an element for each item, in their order; those of known keys are kept.
   *
   * @param known the elements by key, of the last time.
   * @param make returns a new {element, ...}; @param fill fills it in.
   */
  function keyed(parent, known, items, keyOf, make, fill) {
    const keys = new Set(items.map(keyOf));
    for (const [key, { element }] of known) {
      if (!keys.has(key)) {
        element.remove();
        known.delete(key);
      }
    }
    let before = null;
    for (const item of [...items].reverse()) {
      const key = keyOf(item);
      if (!known.has(key)) known.set(key, make(item));
      const entry = known.get(key);
      fill(entry, item);
      place(parent, entry.element, before);
      before = entry.element;
    }
  }

  // A pool

  let made = 0;

  function makeCard() {
    const card = { ...copyOf("pool-template"), rows: new Map(), drawing: null };
    card.id = `pool-${++made}`;
    const title = card.element.querySelector("h2");
    title.id = `${card.id}-title`;
    card.element.setAttribute("aria-labelledby", title.id);
    const summary = card.fields["holders-summary"];
    summary.id = `${card.id}-holders`;
    card.fields["holders-region"].setAttribute("aria-labelledby", `${title.id} ${summary.id}`);
    return card;
  }

  function fillCard(card, pool, mayChange) {
    const { element, fields } = card;
    card.pool = pool;
    const free = Math.max(0, pool.limit - pool.in_use - pool.idle);
    element.classList.toggle("pool-in-trouble", pool.trouble.length > 0);
    element.classList.toggle("pool-is-late", pool.is_late);
    setText(fields.worker, pool.worker);
    setText(fields.alias, pool.alias);
    say(fields.kind, {}, fields.kind.dataset[pool.kind === "web" ? "wordsWeb" : "wordsWorker"]);
    // A process id is a name, not a number with separators.
    const { words, wordsNone } = fields.process.dataset;
    say(fields.process, { pid: String(pool.pid) }, pool.pid === null ? wordsNone : words);
    fields.late.hidden = !pool.is_late;
    say(fields.late, { age: duration(pool.age) });
    list(fields.trouble, pool.trouble);
    bar(fields.bar, pool.in_use, pool.idle, free);
    say(fields.use, { ...pool, free });
    setText(fields.waiting, count.format(pool.waiting));
    fields["waiting-tile"].classList.toggle("pool-warns", pool.waiting > 0);
    setText(fields.p50, duration(pool.wait_p50));
    setText(fields.p95, duration(pool.wait_p95));
    setText(fields.timeouts, count.format(pool.timeouts));
    fillFleet(fields, pool.fleet);
    fillHistory(card, pool.history);
    fillHolders(card, pool);
    // Web processes can be seen, but take no commands.
    fields.actions.hidden = !mayChange || pool.kind !== "worker";
    // A pool that isn't used yet has no process, and no connections.
    fields["close-idle"].hidden = pool.pid === null;
  }

  function fillFleet(fields, fleet) {
    fields.fleet.hidden = !fleet;
    if (!fleet) return;
    bar(fields["fleet-bar"], fleet.share ?? 0, Math.max(0, (fleet.limit ?? 0) - (fleet.share ?? 0)));
    say(fields["fleet-text"], fleet);
    const { words, wordsOthers } = fields["fleet-others"].dataset;
    say(fields["fleet-others"], fleet, fleet.others ? wordsOthers : words);
  }

  function fillHolders(card, pool) {
    const { fields, rows } = card;
    say(fields["holders-summary"], { count: pool.holders_total });
    const hadFocus = fields.rows.contains(document.activeElement);
    const keyOf = (holder) => `${holder.task_id ?? ""}|${holder.holder}`;
    keyed(fields.rows, rows, pool.holders, keyOf, () => copyOf("holder-template"), fillRow);
    // Its row is gone: the focus goes on beside it, not at the page's top.
    if (hadFocus && !fields.rows.contains(document.activeElement)) fields["holders-summary"].parentElement.focus();
    const more = pool.holders_total - pool.holders.length;
    fields.more.hidden = more <= 0;
    say(fields.more, { count: more });
    fields["holders-region"].hidden = pool.holders.length === 0;
  }

  function fillRow({ fields }, holder) {
    setText(fields.task, holder.task ?? holder.holder);
    setText(fields.id, holder.task_id ?? "");
    fields["task-id"].hidden = !holder.task_id;
    fields.copy.setAttribute("aria-label", format(fields.copy.dataset.words, { task: holder.task ?? holder.holder }));
    setText(fields.since, duration(holder.held));
    setText(fields["holder-state"], holder.state || NONE);
  }

  // The history of a pool

  function makeDrawing(card) {
    const svg = document.createElementNS(SVG, "svg");
    const part = (name, attributes) => {
      const element = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      svg.append(element);
      return element;
    };
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-labelledby", `${card.id}-history-title ${card.id}-history-desc`);
    svg.setAttribute("preserveAspectRatio", "none");
    const drawing = {
      svg,
      title: part("title", { id: `${card.id}-history-title` }),
      desc: part("desc", { id: `${card.id}-history-desc` }),
      area: part("path", { class: "pool-history-in-use" }),
      limit: part("path", { class: "pool-history-limit" }),
      waiting: part("path", { class: "pool-history-waiting" }),
    };
    card.fields.history.prepend(svg);
    return drawing;
  }

  function fillHistory(card, history) {
    const figure = card.fields.history;
    figure.hidden = history.length < 2;
    if (figure.hidden) return;
    card.drawing ??= makeDrawing(card);
    const { svg, title, desc, area, limit, waiting } = card.drawing;
    const column = (number) => history.map((row) => row[number]);
    const columns = { use: column(1), waiting: column(2), limit: column(3) };
    const span = Math.max(history[0][0], 1);
    const top = Math.max(1, ...columns.use, ...columns.waiting, ...columns.limit);
    svg.setAttribute("viewBox", `0 0 ${span} ${top}`);
    // A value holds until the next one.
    const times = [...history.map(([age]) => span - age), span];
    const step = (value, index, isFirst) => `${isFirst ? `M${times[index]} ` : "V"}${top - value}H${times[index + 1]}`;
    const line = (values) => values.map((value, index) => step(value, index, index === 0)).join("");
    // Where nobody waits, there is no line.
    const parts = (values) => values.map((value, index) => (value ? step(value, index, !values[index - 1]) : "")).join("");
    area.setAttribute("d", `${line(columns.use)}V${top}H${times[0]}Z`);
    limit.setAttribute("d", line(columns.limit));
    waiting.setAttribute("d", parts(columns.waiting));
    say(title, { span: duration(span) }, figure.dataset.wordsTitle);
    const ends = { least: Math.min(...columns.use), most: Math.max(...columns.use), waiting: Math.max(...columns.waiting) };
    say(desc, ends, figure.dataset.wordsDesc);
    setText(figure.querySelector("figcaption"), `${title.textContent}. ${desc.textContent}`);
  }

  const cards = new Map();

  /** Show pools, those in trouble first. */
  function showPools(parent, pools, mayChange) {
    const order = (pool) => [pool.trouble.length ? 0 : 1, pool.worker, pool.alias, pool.pid];
    const compare = (first, second) => {
      const [one, other] = [order(first), order(second)];
      const index = one.findIndex((value, place) => value !== other[place]);
      return index < 0 ? 0 : one[index] < other[index] ? -1 : 1;
    };
    const sorted = [...pools].sort(compare);
    keyed(parent, cards, sorted, (pool) => pool.key, makeCard, (card, pool) => fillCard(card, pool, mayChange));
  }

  /** Return the pool whose card an element is in. */
  function poolOf(element) {
    return [...cards.values()].find((card) => card.element.contains(element))?.pool;
  }

  return { duration, fieldsOf, format, list, poolOf, say, setText, showPools };
})();
