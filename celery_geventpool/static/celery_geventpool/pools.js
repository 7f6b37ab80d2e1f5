/* Asks for the pools' numbers every two seconds while the page is seen, and shows them. */
"use strict";

{
  const { fieldsOf, format, list, say, setText, showPools } = PoolCards;
  //: From one question to the next (milliseconds); logged out, there is nothing new until somebody logs in in another tab.
  const INTERVAL = 2000, INTERVAL_LOGGED_OUT = 10000;
  //: How long an answer may take (milliseconds).
  const PATIENCE = 15000;

  const root = document.getElementById("pools");
  const byId = (name) => document.getElementById(`pools-${name}`);
  const state = byId("state");
  const stateFields = fieldsOf(state);
  const summary = fieldsOf(byId("summary"));
  let timer = null;
  let asking = false;
  let lastAnswer = null;
  /** The names of the pools in trouble, by key, as of the last refresh; the key of the page's own error is empty. */
  let troubles = new Map();

  /** Ask the server; return the state that the page is in then, and the data if there are any. */
  async function ask() {
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      const response = await fetch(root.dataset.url, { redirect: "manual", cache: "no-store", signal });
      // A redirect leads to the login.
      if (response.type === "opaqueredirect" || [401, 403].includes(response.status)) return ["logged-out"];
      return response.ok ? ["live", await response.json()] : ["unreachable"];
    } catch {
      return ["unreachable"];
    }
  }

  async function refresh() {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    const begun = performance.now();
    const [name, data] = await ask();
    asking = false;
    // First the next one: whatever comes of this answer, the page goes on.
    const due = begun + (name === "logged-out" ? INTERVAL_LOGGED_OUT : INTERVAL);
    if (!document.hidden) timer = setTimeout(refresh, Math.max(0, due - performance.now()));
    if (data) {
      lastAnswer = new Date();
      show(data);
    }
    setState(document.hidden && data ? "paused" : name);
  }

  /** Say whether the numbers are true now. */
  function setState(name) {
    const words = state.dataset[`words-${name}`.replace(/-(\w)/g, (_, letter) => letter.toUpperCase())];
    const time = lastAnswer ? lastAnswer.toLocaleTimeString(document.documentElement.lang) : "–";
    const changed = state.dataset.state !== name;
    state.dataset.state = name;
    root.classList.toggle("pools-stale", name === "unreachable" || name === "logged-out");
    say(stateFields.state, { time }, words);
    stateFields.login.hidden = name !== "logged-out";
    if (changed && root.classList.contains("pools-stale")) announce([stateFields.state.textContent]);
  }

  function show(data) {
    const { pools } = data;
    const error = byId("error");
    error.hidden = !data.error;
    setText(error, data.error?.message ?? "");
    list(byId("notes"), data.notes);
    const sum = (name) => pools.reduce((total, pool) => total + pool[name], 0);
    const inTrouble = pools.filter((pool) => pool.trouble.length).length;
    setText(summary.pools, format("{count}", { count: pools.length }));
    say(summary.use, { in_use: sum("in_use"), limit: sum("limit") });
    setText(summary.waiting, format("{count}", { count: sum("waiting") }));
    setText(summary.trouble, format("{count}", { count: inTrouble }));
    summary["trouble-tile"].classList.toggle("pool-warns", inTrouble > 0);
    byId("summary").hidden = byId("legend").hidden = pools.length === 0;
    byId("empty").hidden = pools.length > 0 || Boolean(data.error);
    showPools(byId("list"), pools, data.may_change);
    announceTroubles(pools, data.error);
  }

  /** Read aloud what has begun or ended since the last refresh; numbers that change all the time are not news. */
  function announceTroubles(pools, error) {
    const { wordsTrouble, wordsWell } = byId("news").dataset;
    const now = new Map();
    for (const pool of pools) if (pool.trouble.length) now.set(pool.key, `${pool.worker}, ${pool.alias}`);
    const news = [];
    for (const pool of pools) {
      if (now.has(pool.key) && !troubles.has(pool.key)) {
        news.push(format(wordsTrouble, { pool: now.get(pool.key), trouble: pool.trouble.join(" ") }));
      }
    }
    for (const [key, pool] of troubles) if (key !== "" && !now.has(key)) news.push(format(wordsWell, { pool }));
    if (error) now.set("", error.code);
    if (error && troubles.get("") !== error.code) news.unshift(error.message);
    troubles = now;
    if (news.length) announce(news);
  }

  function announce(texts) {
    setText(byId("news"), texts.join(" "));
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
      setState("paused");
    } else {
      refresh();
    }
  });
  PoolActions.listen(refresh);
  refresh();
}
