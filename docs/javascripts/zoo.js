// Sorts and filters the table of models. Without JavaScript it stays a plain table.
(() => {
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  // Numbers sort as numbers; a dash, which stands for nothing, comes last in both directions.
  const compare = (column, order) => {
    const key = (row) => {
      const cell = row.cells[column];
      const text = cell.dataset.value ?? cell.textContent.trim();
      return text === "-" ? null : isNaN(text) ? text.toLowerCase() : Number(text);
    };
    return (first, second) => {
      const [a, b] = [key(first), key(second)];
      if (a === b) return 0;
      if (a === null || b === null) return a === null ? 1 : -1;
      return (a < b) === (order === "ascending") ? -1 : 1;
    };
  };

  const setUp = () => {
    const table = document.querySelector(".zoo-table");
    if (!table || table.dataset.ready) return;
    table.dataset.ready = "true";
    const body = table.tBodies[0];
    const rows = [...body.rows]; // in their first order, which decides between equal ones
    const heads = [...table.tHead.rows[0].cells];

    const search = element("input", { type: "search", placeholder: "resnet, vit, 2015 …" });
    const tasks = [...new Set(rows.map((row) => row.cells[1].textContent))].sort();
    const task = element("select", {}, new Option("all", ""), ...tasks.map((t) => new Option(t)));
    const published = element("input", { type: "checkbox" });
    const column = element("select", {}, ...heads.map((head, i) => new Option(head.textContent, i)));
    const turn = element("button", { type: "button", className: "zoo-turn" });
    const count = element("p", { role: "status" });

    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden =
          !words.every((word) => text.includes(word)) ||
          (task.value !== "" && row.cells[1].textContent !== task.value) ||
          (published.checked && row.dataset.published !== "true");
      }
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = `${shown} of ${rows.length} models`;
    };

    const sort = (index, order) => {
      heads.forEach((head) => head.removeAttribute("aria-sort"));
      heads[index].setAttribute("aria-sort", order);
      column.value = index;
      turn.textContent = order === "ascending" ? "↑ ascending" : "↓ descending";
      body.append(...[...rows].sort(compare(index, order)));
    };

    const opposite = (head) =>
      head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    const first = (head) => head.dataset.order;

    heads.forEach((head, index) => {
      const button = element("button", { type: "button" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () =>
        sort(index, head.hasAttribute("aria-sort") ? opposite(head) : first(head)),
      );
    });
    column.addEventListener("change", () => sort(+column.value, first(heads[column.value])));
    turn.addEventListener("click", () => sort(+column.value, opposite(heads[column.value])));
    for (const control of [search, task, published]) control.addEventListener("input", filter);

    const label = (text, control, className = "") =>
      element("label", { className }, element("span", { textContent: text }), control);
    table.parentElement.before(
      element(
        "div",
        { className: "zoo-controls" },
        label("Filter", search),
        label("Task", task),
        label("Published weights only", published, "zoo-check"),
        label("Sort by", column, "zoo-sort"),
        turn,
      ),
      count,
    );
    const sorted = heads.findIndex((head) => head.hasAttribute("aria-sort"));
    sort(sorted, heads[sorted].getAttribute("aria-sort"));
    filter();
  };

  // mkdocs-material replaces the page without loading it again if instant loading is on
  if (window.document$) window.document$.subscribe(setUp);
  else if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", setUp);
  else setUp();
})();
