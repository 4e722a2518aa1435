package closure

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprint/closure/nar"
	"imprint/internal/diag"
	"imprint/internal/hosttest"
)

// record returns the lines of an item.
func record(fields ...string) string { return strings.Join(fields, "\n") + "\n" }

var (
	pathA, pathB = "/nix/store/" + digits + "-a", "/nix/store/" + digits + "-b"
	base16       = "9f6785c76d1bd16ba4442a4de8fd2263e6079a59eebeec3b5d8f991601be5e2b"
	base32       = "0asypq0id6cgblxyrgpfb6d0grk34byyhk9a8jj6pl8vdp3qarwz"
)

func TestParseRegistration(t *testing.T) {
	text := record(pathA, base16, "1488", pathA+".drv", "2", pathB, pathA) + record(pathB, "sha256:"+base32, "112", "", "0") +
		record(pathA, base16, "1488", pathA+".drv", "2", pathA, pathB)
	got, err := ParseRegistration(strings.NewReader(text), "registration", Nix)
	if err != nil {
		t.Fatal(err)
	}
	hash, _ := nar.ParseHash(base16)
	want := []*Info{
		{Path: Path{pathA}, NARHash: hash, NARSize: 1488, Deriver: pathA + ".drv", References: []Path{{pathA}, {pathB}}},
		{Path: Path{pathB}, NARHash: hash, NARSize: 112},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(Path{})); d != "" {
		t.Error(d)
	}
}

// A graph of references has no hashes and no lengths.
func TestParseGraph(t *testing.T) {
	text := record(pathA, pathA+".drv", "2", pathB, pathA) + record(pathB, "", "0") + record(pathA, pathA+".drv", "2", pathA, pathB)
	for _, text := range []string{text, record(pathB, "", "0") + text} {
		got, err := ParseRegistration(strings.NewReader(text), "graph", Nix)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b *Info) int { return a.Path.Compare(b.Path) })
		want := []*Info{{Path: Path{pathA}, Deriver: pathA + ".drv", References: []Path{{pathA}, {pathB}}}, {Path: Path{pathB}}}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(Path{})); d != "" {
			t.Error(d)
		}
	}
}

func TestParseRegistrationRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"x\n":                                 "r:1:1: store path",
		pathA + "/b\n":                        "r:1:46: " + pathA + "/b is inside",
		pathA + "é\n":                         "r:1:46: store path name",
		pathA + "/\x1b[2J\n":                  `r:1:46: "` + pathA + `/\x1b[2J" is inside`,
		pathA + "\r\n":                        `r:1:46: store path name "a\r"`,
		record(pathA, "", "0", pathB, base16): "r:5:1: store path",
		record(pathA, base16, "1", "", "0", pathB, ""): "r:7:1: read hash",
		record(pathA, ""):                                                         "r:3:1: the file ends within an item",
		record(pathA, pathB+".drv", "1488"):                                       "r:4:1: the file ends within an item",
		record(pathA, base16[1:]):                                                 "r:2:1: read hash",
		record(pathA, base16, "0"):                                                `r:3:1: NAR size "0"`,
		record(pathA, base16, "1e3"):                                              `r:3:1: NAR size "1e3"`,
		record(pathA, base16, "4398046511105"):                                    `r:3:1: NAR size "4398046511105" is not a number of bytes from 1 to 4398046511104`,
		record(pathA, base16, "1", "x"):                                           "r:4:1: store path",
		record(pathA, base16, "1", "", "-1"):                                      `r:5:1: number of references "-1"`,
		record(pathA, base16, "1", "", "99999999"):                                "r:5:1: more than 16777216 references",
		record(pathA, base16, "1", "", "2147483648"):                              "r:5:1: number of references",
		record(pathA, base16, "1", "", "2", pathA):                                "r:7:1: the file ends within an item",
		record(pathA, base16, "1", "", "1", "x"):                                  "r:6:1: store path",
		record(pathA, base16):                                                     "r:3:1: the file ends within an item",
		record(pathA, base16, "1", "", "0", ""):                                   "r:6:1: store path",
		record(pathA, base16, "1", "", "0") + record(pathA, base16, "2", "", "0"): "r:10:1: " + pathA + " is registered twice",
		record(pathA, strings.Repeat("x", 5000)):                                  "r:2:4097: line is longer than 4096 bytes",
		strings.Repeat("x", 5000):                                                 "r:1:4097: line is longer than 4096 bytes",
	} {
		_, err := ParseRegistration(strings.NewReader(text), "r", Nix)
		var list diag.List
		if !says(err, want) || !errors.As(err, &list) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	if _, err := ParseRegistration(brokenReader{}, "r", Nix); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an unreadable file: %v", err)
	}
}

// A file may be as long as its producer likes, but it is not read for ever.
func TestRegistrationIsBounded(t *testing.T) {
	same := []byte(record(pathA, base16, "1488", "", "0"))
	endless := &repeated{same, 0}
	_, err := ParseRegistration(endless, "r", Nix)
	var list diag.List
	if !errors.As(err, &list) || !says(err, "more than 1048576 items") {
		t.Errorf("got %v", err)
	}
	long := slices.Repeat([]string{pathB + strings.Repeat("b", 210)}, 9000)
	large := []byte(record(append([]string{pathA, base16, "1488", "", "9000"}, long...)...))
	if _, err := ParseRegistration(&repeated{large, 0}, "r", Nix); !says(err, "the file has more than 512 MiB") {
		t.Errorf("got %v", err)
	}
}

// repeated is an endless repetition of a text.
type repeated struct {
	text []byte
	at   int
}

func (r *repeated) Read(p []byte) (n int, _ error) {
	for n < len(p) {
		k := copy(p[n:], r.text[r.at:])
		n, r.at = n+k, (r.at+k)%len(r.text)
	}
	return n, nil
}

func TestOpenRegistrationNamesTheFileOnce(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{dir + "/absent", dir} {
		if _, err := OpenRegistration(t.Context(), "", file, Nix, readHost); err == nil || strings.Count(err.Error(), file) != 1 {
			t.Errorf("got %v", err)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// Whatever Nix dumps is read, and says the same as its database.
func TestRegistrationAsNix(t *testing.T) {
	n := newNix(t)
	root := n.buildSystem()
	s, err := OpenRegistration(t.Context(), "", n.write("registration", n.run("nix-store", "--dump-db")+"\n"), n.flavor, readHost)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range n.pathInfo("-r", root.String()) {
		p.CA, p.Signatures = "", nil
		p.check(t, s, n.flavor)
	}
	if _, err := s.Info(t.Context(), n.path(n.flavor.StoreDir+"/"+digits+"-absent")); !errors.Is(err, ErrNotFound) {
		t.Errorf("an absent item: %v", err)
	}
	if err := os.Chmod(n.flavor.StoreDir, 0o755); err != nil {
		t.Fatal(err)
	}
	derivation := n.path(n.run("nix-store", "--query", "--deriver", root.String()))
	if err := errors.Join(os.Chmod(derivation.String(), 0o644), os.WriteFile(derivation.String(), []byte("Derive(["), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Info(t.Context(), derivation); !says(err, "at byte 8") {
		t.Errorf("a damaged derivation: %v", err)
	}
}

// Items that were read can be written and are read back the same, and keep Nix's limits.
func FuzzParseRegistration(f *testing.F) {
	f.Add(record(pathA, base16, "1488", pathA+".drv", "2", pathA, pathB) + record(pathB, "sha256:"+base32, "112", "", "0"))
	f.Add(record(pathA, ""))
	f.Add(record(pathA, pathA+".drv", "2", pathA, pathB) + record(pathB, "", "0"))
	hosttest.Quick(f, func() { ParseRegistration(strings.NewReader(record(pathA, base16, "1488", "", "1", pathA)), "r", Nix) })
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		list, err := ParseRegistration(strings.NewReader(text), "r", Nix)
		if err != nil {
			return
		}
		again, err := ParseRegistration(strings.NewReader(dump(list)), "r", Nix)
		if d := cmp.Diff(list, again, cmp.AllowUnexported(Path{})); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	})
}

// dump writes items as "nix-store --dump-db" does, and those of a graph as that.
func dump(list []*Info) string {
	var b strings.Builder
	for _, i := range list {
		fields := []string{i.Path.String()}
		if i.NARSize > 0 {
			fields = append(fields, nar.EncodeBase32(i.NARHash[:]), fmt.Sprint(i.NARSize))
		}
		fields = append(fields, i.Deriver, fmt.Sprint(len(i.References)))
		for _, r := range i.References {
			fields = append(fields, r.String())
		}
		b.WriteString(record(fields...))
	}
	return b.String()
}

// The outputs of a derivation are store paths of the flavor.
func TestOutputs(t *testing.T) {
	got, err := Nix.outputs(`Derive([("out","` + pathB + `","",""),("dev","` + pathA + `","",""),("floating","","r:sha256","")],[],[],…`)
	if want := []Output{{"dev", Path{pathA}}, {"out", Path{pathB}}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for text, want := range map[string]string{
		"":                           `at byte 0: "Derive([" is missing`,
		`Derive([("out","x","","")]`: `output out: store path "x"`,
		"Derive([(\"o\x1b[2J\",\"x\",\"\",\"\")]": `output "o\x1b[2J": invalid name`,
	} {
		if got, err := Nix.outputs(text); !says(err, want) {
			t.Errorf("%s: %v, %v, want %q", text, got, err, want)
		}
	}
}
