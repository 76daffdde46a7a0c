"""A file and its text in the pages: which belong together, how many there are, what is refused."""

from typing import Any

from browsing import Window

PAIRS = """
  const file = (path) => ({ file: new File(["x"], path.split("/").at(-1)), path });
  const samples = { one: "pair", many: "pairs", pairs: true, isImage: false, accept: ".png,.txt",
    archives: [".zip"], takes: () => true };
  const limits = { max_job_images: 2, max_image_bytes: 99, max_upload_bytes: 999 };
"""


def test_pairs_are_matched_as_the_service_does(window: Window) -> None:
    """Contract: a text that two files want is nobody's; endings in any case; folders apart."""
    window.open()
    found: Any = window.page.evaluate(
        f"""async () => {{
          {PAIRS}
          const {{ paired }} = await import("/console/js/parts/files.js");
          const names = ["a.png", "a.TXT", "b.png", "b.jpg", "b.txt", "x/a.png", "c.txt"];
          return paired(names.map((each) => file(each)))
            .map(({{ path, text }}) => [path, text?.name ?? null]);
        }}"""
    )
    alone = [[name, None] for name in ("b.png", "b.jpg", "b.txt", "x/a.png", "c.txt")]
    assert found == [["a.png", "a.TXT"], *alone]


def test_a_pair_counts_once_in_a_job(window: Window) -> None:
    """Contract: as many pairs as are allowed have no problem, and are told as so many."""
    window.open()
    found: Any = window.page.evaluate(
        f"""async () => {{
          {PAIRS}
          const {{ imageChooser }} = await import("/console/js/pages/learn/image_chooser.js");
          const said = [];
          for (const each of ["a.png a.txt b.png b.txt", "a.png b.png c.png"]) {{
            const names = each.split(" ");
            const chooser = imageChooser({{ title: "t", hint: "h", limits, samples,
              signal: new AbortController().signal, onChange: () => {{}} }});
            document.body.append(chooser.node);
            const input = chooser.node.querySelector("input[type=file]");
            const given = new DataTransfer();
            for (const name of names) given.items.add(file(name).file);
            input.files = given.files;
            input.dispatchEvent(new Event("change", {{ bubbles: true }}));
            await new Promise((resolve) => setTimeout(resolve, 50));
            said.push([chooser.node.querySelector("[role=status]").textContent,
              chooser.chosen().problems.length, chooser.chosen().images.length]);
          }}
          return said;
        }}"""
    )
    (pairs, none, files), (three, one, _) = found
    assert pairs.startswith("2 pairs")
    assert (none, files) == (0, 4)
    assert three.startswith("3 pairs")
    assert one == 1


def test_a_text_that_is_no_utf_8_is_refused(window: Window) -> None:
    """Contract: before it is sent, under its name; it is not scored as another text."""
    window.open()
    sent: list[str] = []
    window.page.on("request", lambda request: sent.append(request.url))
    found: Any = window.page.evaluate(
        """async () => {
          const { Items } = await import("/console/js/pages/inspect/items.js");
          const ended = new Promise((resolve) => {
            const told = (item) => item.problem && resolve([item.state, item.problem.detail]);
            const items = new Items({ name: "n", kind: "pair" }, () => ({ group: "" }),
              new AbortController().signal, told);
            const text = new File([new Uint8Array([255])], "a.txt");
            items.add([{ file: new File(["x"], "a.png"), path: "a.png", text }]);
          });
          return ended;
        }"""
    )
    assert found == ["failed", "a.txt is no text in UTF-8: save it as UTF-8."]
    assert not [url for url in sent if "/score" in url]
