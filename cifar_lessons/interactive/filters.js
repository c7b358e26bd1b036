(root, data) => {
  // data: {columns: [position of each column with a list of its own], noun: what a row is}
  if (!root) return;
  const rows = [...root.querySelectorAll("tbody tr")];
  const lists = [...root.querySelectorAll("select")];
  const words = root.querySelector('input[type="search"]');
  const count = root.querySelector('[role="status"]');
  const text = (row) => row.textContent.toLowerCase();
  const draw = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = lists.every((list, i) =>
        list.value === "" || row.cells[data.columns[i]].textContent.trim() === list.value);
      row.hidden = !(fits && wanted.every((word) => text(row).includes(word)));
      shown += !row.hidden;
    }
    count.textContent = shown === rows.length
      ? `All ${rows.length} ${data.noun} are shown.` : `${shown} of ${rows.length} ${data.noun} are shown.`;
  };
  for (const control of [...lists, words]) control.addEventListener("input", draw);
  root.querySelector("button").addEventListener("click", () => {
    for (const control of [...lists, words]) control.value = "";
    draw();
  });
  draw();
  root.querySelector("[hidden]").hidden = false;
}
