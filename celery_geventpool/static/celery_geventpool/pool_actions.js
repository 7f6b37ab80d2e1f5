/* What may be done to pools: resize, close idle; and copying the id of a task. */
"use strict";

const PoolActions = (() => {
  const { fieldsOf, format, poolOf, say } = PoolCards;
  const root = document.getElementById("pools");
  const results = document.getElementById("pools-results");
  const words = results.dataset;

  /** Show what was done, in place of what was shown before; it is read aloud. */
  function show(texts, isError) {
    const item = (text) => Object.assign(document.createElement("p"), { textContent: text });
    results.replaceChildren(...texts.map(item));
    results.classList.toggle("pools-failed", isError);
  }

  /** Open a dialog; return whether its question was answered with yes. */
  function ask(dialog) {
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((answer) => {
      dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
    });
  }

  async function resize(pool) {
    const dialog = document.getElementById("resize-dialog");
    const form = dialog.querySelector("form");
    const { pool: name, question } = fieldsOf(dialog);
    name.textContent = `${pool.worker}, ${pool.alias}`;
    form.reset();
    form.elements.limit.value = pool.limit;
    form.oninput = () => {
      const { limit, all } = form.elements;
      const { words, wordsAll, wordsSame, wordsNone } = question.dataset;
      const after = limit.valueAsNumber;
      const here = after === pool.limit ? wordsSame : words;
      say(question, { ...pool, before: pool.limit, after }, !limit.validity.valid ? wordsNone : all.checked ? wordsAll : here);
    };
    form.oninput();
    if (!(await ask(dialog))) return;
    const worker = form.elements.all.checked ? "" : pool.worker;
    await post(root.dataset.resizeUrl, { worker, alias: pool.alias, limit: form.elements.limit.value }, (change) => [
      format(words.wordsResized, change),
    ]);
  }

  async function closeIdle(pool) {
    const dialog = document.getElementById("close-idle-dialog");
    say(fieldsOf(dialog).question, { ...pool, pid: String(pool.pid) });
    if (!(await ask(dialog))) return;
    await post(root.dataset.closeIdleUrl, { worker: pool.worker, alias: pool.alias }, ({ worker, closed }) =>
      Object.entries(closed).map(([alias, count]) => format(words.wordsClosed, { worker, alias, count })),
    );
  }

  /** Send an action, and show what came of it: `describe` returns texts for a worker that has changed something. */
  async function post(url, fields, describe) {
    // In a form's field, the token is found whatever header and cookie the project has for it.
    const token = root.querySelector("[name=csrfmiddlewaretoken]").value;
    const body = new URLSearchParams({ csrfmiddlewaretoken: token, ...fields });
    try {
      const response = await fetch(url, { method: "POST", body, redirect: "manual" });
      // Django's own refusals are pages; a redirect leads to the login.
      const answer = await response.json().catch(() => null);
      if (!answer) return show([response.ok || response.status >= 500 ? words.wordsFailed : words.wordsForbidden], true);
      if (answer.error) return show([answer.error.message ?? answer.error], true);
      const changed = answer.changed.flatMap(describe);
      const errors = answer.errors.map((error) => format(words.wordsRefused, error));
      const texts = [...changed, ...errors];
      show(texts.length ? texts : [words.wordsNone], changed.length === 0 || errors.length > 0);
    } catch {
      show([words.wordsFailed], true);
    }
  }

  /** Copy the text of an element. */
  async function copy(element) {
    // Where the page isn't served over TLS, browsers know the old way only.
    if (navigator.clipboard) await navigator.clipboard.writeText(element.textContent);
    else {
      getSelection().selectAllChildren(element);
      document.execCommand("copy");
    }
    show([format(words.wordsCopied, { id: element.textContent })], false);
  }

  /** Let the buttons work; after an action, `refresh` is called. */
  function listen(refresh) {
    root.addEventListener("click", async ({ target }) => {
      const action = target.closest("[data-action]")?.dataset.action;
      if (action === "copy") await copy(target.closest("td").querySelector("code"));
      const pool = poolOf(target);
      if (!pool || (action !== "resize" && action !== "close-idle")) return;
      await (action === "resize" ? resize(pool) : closeIdle(pool));
      refresh();
    });
  }

  return { listen };
})();
