package inspect

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/internal/hosttest"
)

// breakOut are names that would end an element, a string or a comment of a page that did not escape them.
var breakOut = []string{
	"</script><script>document.title='owned'</script>", `"];alert(1);//`, "<!--<script>", "<img src=x onerror=\"document.title='owned'\">", "]]>", "\u2028", "\xff", "{{data}}",
	"{{title}}", "'\"`\\", "&lt;b&gt;", "</title><h1>",
}

// hostileReport is a report that has hostile texts wherever an image has texts.
func hostileReport(t *testing.T) *Report {
	t.Helper()
	text := strings.Join(breakOut, " ")
	r := &Report{Size: 1 << 30, SectorSize: 512, Table: text, ID: text}
	for i, bad := range breakOut {
		r.Regions = append(r.Regions, Region{
			Number: i + 1, Name: bad, Shown: bad, Type: bad, PartUUID: bad, Offset: int64(i) << 20, Size: 1 << 20, Filesystem: bad, Error: bad,
			Volume: &Volume{Label: bad, ID: bad, Features: []string{bad}, FreeBytes: 1000, Inodes: 10},
			Boot:   []BootEntry{{File: bad, Title: bad, Kernel: bad, Cmdline: bad}},
		})
	}
	s := &Store{graph: sample(t, [][]int{{1}, {2}, nil, nil})}
	s.graph.roots = []graphRoot{{text, 0}}
	s.graph.computeClosures(t.Context())
	r.Regions[0].Stores = []*Store{s}
	return r
}

// sample is a graph of items with those references; item n has 1000+n bytes.
func sample(t *testing.T, refs [][]int) graph {
	t.Helper()
	infos := make([]*closure.Info, len(refs))
	for i := range refs {
		p, err := closure.Nix.ParsePath("/nix/store/" + strings.Repeat(string("0123456789"[i]), 32) + "-item-" + string("0123456789"[i]))
		if err != nil {
			t.Fatal(err)
		}
		infos[i] = &closure.Info{Path: p, NARSize: int64(1000 + i)}
	}
	for i, list := range refs {
		for _, k := range list {
			infos[i].References = append(infos[i].References, infos[k].Path)
		}
	}
	return graphOf(infos)
}

func pageOf(t *testing.T, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Page(&b, breakOut[0]); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// No text of an image is markup of the page, and all are in its data.
func TestPageEscapes(t *testing.T) {
	text := pageOf(t, hostileReport(t))
	before, rest, ok := bytes.Cut(text, []byte(`<script type="application/json" id="data">`))
	body, after, closed := bytes.Cut(rest, []byte("</script>"))
	if !ok || !closed || bytes.ContainsAny(body, "<>\u2028") {
		t.Fatalf("the data ends early, or holds markup: %.300q", body)
	}
	_, template, _ := strings.Cut(pageText, "{{data}}</script>")
	if string(after) != template {
		t.Errorf("the rest of the page is not the template's: %.200q", after)
	}
	if title := "<title>&lt;/script&gt;&lt;script&gt;document.title=&#39;owned&#39;&lt;/script&gt;</title>"; !bytes.Contains(before, []byte(title)) {
		t.Errorf("no %s", title)
	}
	var data page
	if err := json.Unmarshal(body, &data); err != nil {
		t.Fatal(err)
	}
	for i, bad := range breakOut {
		if want := strings.ToValidUTF8(bad, "\ufffd"); data.Regions[i].Name != want {
			t.Errorf("name %q became %q", want, data.Regions[i].Name)
		}
	}
	if net := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9]+\.|\bfetch\(|XMLHttp|@import|\bsrc=["']?[a-z/]`).FindString(pageText); net != "" {
		t.Errorf("the page loads %q", net)
	}
}

// A browser shows the texts as they are, runs nothing of them, and draws the disk, the items and the chain of references.
func TestPageInBrowser(t *testing.T) {
	hosttest.Need(t, "chromium")
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, pageOf(t, hostileReport(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, "profile"), "--window-size=1200,900",
		"--virtual-time-budget=3000", "--dump-dom", "file://"+file+"#item=item-2")
	cmd.Env = append(os.Environ(), "HOME="+dir)
	dom, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`="[^"]*"`).ReplaceAllString(string(dom), "") // in which browsers need not escape "<"
	if n := strings.Count(shown, "<script"); n != 2 || strings.Contains(shown, "<img") || strings.Contains(shown, "<title>owned") {
		t.Errorf("%d scripts, or markup of the image's: %.3000s", n, shown)
	}
	_, drawn, _ := strings.Cut(string(dom), `id="stores"`)
	if chain := regexp.MustCompile(`(?s)Why it is here.*>item-0</button>.*>item-1</button>.*>item-2</button>`); !chain.MatchString(drawn) {
		t.Errorf("no chain of references: %.2000s", drawn)
	}
	if n := strings.Count(string(dom), `class="swatch"`); n != len(breakOut) {
		t.Errorf("%d regions are drawn", n)
	}
}
