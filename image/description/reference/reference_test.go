package reference

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprint/image/description"
	"imprint/internal/hosttest"
)

var update = flag.Bool("update", false, "write the page anew")

const committed = "../../../docs/description.md"

func TestMarkdownIsCommitted(t *testing.T) {
	if *update {
		if err := os.WriteFile(committed, Markdown(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), string(Markdown())); diff != "" {
		t.Errorf("run make golden (-committed +current):\n%s", diff)
	}
}

// Both pages have every table and every key, with its text.
func TestPagesAreComplete(t *testing.T) {
	markdown, manual := string(Markdown()), string(Manual())
	for _, table := range texts() {
		if !strings.Contains(markdown, table.Header) || !strings.Contains(manual, escaped(table.Header)) {
			t.Errorf("no table %s", table.Header)
		}
		for _, k := range table.Keys {
			if !strings.Contains(markdown, "**`"+k.Name+"`**") || !strings.Contains(markdown, k.Doc) {
				t.Errorf("the page does not explain %s of %s", k.Name, table.Header)
			}
			if !strings.Contains(manual, ".B "+escaped(k.Name)+"\n"+escaped(k.Doc)+"\n") {
				t.Errorf("the manual does not explain %s of %s", k.Name, table.Header)
			}
		}
	}
}

// The example of the reference is a description.
func TestExampleParses(t *testing.T) {
	example := topics[len(topics)-1].paragraphs[0]
	if _, err := description.Parse("example.toml", []byte(example)); err != nil {
		t.Error(err)
	}
}

func TestEscaped(t *testing.T) {
	for text, want := range map[string]string{
		`a\b`: `a\eb`, ".TH": `\&.TH`, "gc-roots": `gc\-roots`, "'": `\(aq`, `"^x"`: `\(dq\(hax\(dq`,
	} {
		if got := escaped(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if got, want := marked("a `b-c`, `d`"), `a \fBb\-c\fR, \fBd\fR`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// groff formats the manual without a warning, in lines that fit a terminal.
func TestGroff(t *testing.T) {
	hosttest.Need(t, "groff")
	file := filepath.Join(t.TempDir(), "imprint.toml.5")
	if err := os.WriteFile(file, Manual(), 0o644); err != nil {
		t.Fatal(err)
	}
	out := hosttest.Run(t, "groff", "-man", "-Tascii", "-P-c", "-ww", "-rLL=78n", file)
	if strings.Contains(out, "warning:") || strings.Contains(out, "error:") {
		t.Errorf("groff:\n%s", out)
	}
	plain := regexp.MustCompile(".\b").ReplaceAllString(out, "")
	if !strings.Contains(plain, "[[boot.entry]]\n") || !strings.Contains(plain, "${partition.NAME.partuuid}") {
		t.Errorf("the page lacks a section or an example:\n%s", plain)
	}
}
