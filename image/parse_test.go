package image

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"imprint/internal/diag"
)

var update = flag.Bool("update", false, "write the diagnostics and the schema anew")

// Every archive in testdata/parse has descriptions and, as NAME.want, all that Parse says about each; where that is nothing, it is absent.
func TestParseDiagnostics(t *testing.T) {
	archives, _ := filepath.Glob("testdata/parse/*.txtar")
	if len(archives) < 8 {
		t.Fatalf("%d archives in testdata/parse", len(archives))
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { checkArchive(t, name) })
	}
}

func checkArchive(t *testing.T, name string) {
	archive, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var now strings.Builder
	for _, f := range descriptions(string(archive)) {
		now.WriteString(f.header + f.text)
		if said := diagnose(t, f.name, []byte(f.text)); said != "" {
			now.WriteString("-- " + f.name + ".want --\n" + said)
		}
	}
	if *update {
		if err := os.WriteFile(name, []byte(now.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(archive), now.String()); diff != "" && !*update {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An archived file is one of a txtar archive: the line "-- name --", and the lines up to the next such line.
type archived struct{ header, name, text string }

// descriptions are the files of an archive that are not what is wanted of another.
func descriptions(archive string) []archived {
	var files []archived
	for line := range strings.Lines(archive) {
		if name, ok := strings.CutPrefix(line, "-- "); ok {
			files = append(files, archived{header: line, name: strings.TrimSuffix(name, " --\n")})
		} else {
			files[len(files)-1].text += line
		}
	}
	return slices.DeleteFunc(files, func(f archived) bool { return strings.HasSuffix(f.name, ".want") })
}

// diagnose is what Parse says about a description, with a line end.
func diagnose(t *testing.T, file string, src []byte) string {
	t.Helper()
	d, err := Parse(file, src)
	if err == nil {
		return ""
	}
	var list diag.List
	if !errors.As(err, &list) || d != nil {
		t.Errorf("%s: Parse gave %v and a %T", file, d, err)
	}
	return err.Error() + "\n"
}

func TestParseFillsEveryKey(t *testing.T) {
	src, err := os.ReadFile("testdata/every-key.toml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("every-key.toml", src)
	if err != nil {
		t.Fatal(err)
	}
	epoch, timeout, hostname := int64(1700000000), int64(0), Template("hello\n")
	want := &Description{
		Name: "hello", Arch: "x86_64", Format: "raw", Seed: "text", Epoch: &epoch, SectorSize: 4096,
		UUID: "00112233-4455-6677-8899-aabbccddeeff", Table: "gpt",
		Raw:    []RawDescription{{Offset: Size{Bytes: 64 << 10, Set: true}, Source: "u-boot.bin"}},
		Store:  StoreDescription{Flavor: "nix", HardLink: true},
		Source: []SourceDescription{{Path: "/mnt", Registration: "registration"}, {Path: "/"}},
		Closure: []ClosureDescription{
			{Name: "system", Roots: []string{"result"}, Profile: "system", GCRoots: []string{"/nix/var/nix/gcroots/extra"}},
			{Name: "extra", Roots: []string{"a", "b"}},
		},
		Boot: BootDescription{
			Loader: "systemd-boot", Timeout: &timeout, EFIBinary: "boot.efi", Default: "hello", Console: []string{"tty0", "ttyS0,115200"},
			Entry: []EntryDescription{{
				Title: "hello", Kernel: "${closure.system}/kernel", Initrd: []Template{"${closure.system}/initrd", "ucode"},
				Cmdline: "init=${closure.extra.1}/init root=PARTUUID=${partition.root.partuuid} $$",
			}},
		},
		Partition: []PartitionDescription{
			{
				Name: "esp", Type: "esp", Filesystem: "fat", Size: Size{Bytes: 64 << 20, Set: true}, Label: "ESP", UUID: "1234-ABCD",
				PartUUID: "00112233-4455-6677-8899-aabbccddee00", Offset: Size{Bytes: 1 << 20, Set: true},
				Align: Size{Bytes: 4096, Set: true}, Flags: []Flag{{0}, {63}, {48}},
			},
			{
				Name: "root", Type: "root", Filesystem: "ext4", Engine: "native", Size: Size{Auto: true, Set: true},
				Features: []string{"^metadata_csum", "^64bit"},
				MinSize:  Size{Bytes: 1 << 30, Set: true}, Free: Free{Percent: 20, Set: true}, Closures: []string{"system", "extra"},
				Dir:  []DirDescription{{Path: "/tmp", Mode: Mode{0o1777, true}, UID: 1, GID: 2}},
				File: []FileDescription{{Path: "/etc/hostname", Text: &hostname, Mode: Mode{0o600, true}, UID: 3, GID: 4}, {Path: "/a", Source: "a"}},
				Link: []LinkDescription{{Path: "/run/booted", Target: "${closure.system}", UID: 5, GID: 6}},
				Tree: []TreeDescription{{Source: "rootfs/", Target: "/"}},
			},
			{Name: "data", Type: "linux-generic", Filesystem: "none", Content: "data.bin"},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Description{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestProblemsOfLaterStages(t *testing.T) {
	src := "name = \"x\"\n[[partition]]\nname = \"p\"\ntype = \"swap\"\nfilesystem = \"none\"\ncontent = \"c\"\n"
	d, err := Parse("x.toml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"partition[0].content": "x.toml:6:1: partition[0].content: is too large",
		"partition[0].size":    "x.toml:2:3: partition[0].size: is too large", // the table that lacks it
		"partition[7].size":    "x.toml:2:3: partition[7].size: is too large",
		"boot.loader":          "x.toml: boot.loader: is too large",
		"":                     "x.toml: is too large",
	} {
		if got := d.Problem(key, "is too large", "").String(); got != want {
			t.Errorf("a problem at %q is\n%s\nwant\n%s", key, got, want)
		}
	}
}

func TestParseRefusesWhatIsNoText(t *testing.T) {
	for want, src := range map[string][]byte{
		"x.toml: is UTF-16":                         []byte("\xff\xfen\x00"),
		"x.toml: is 16777217 byte":                  bytes.Repeat([]byte("#"), MaxSource+1),
		"x.toml:1:5: invalid UTF-8 byte: 0xff":      []byte("a = \xff"),
		"x.toml:1:37: nests deeper than 32 levels":  []byte("a = " + strings.Repeat("[", 1<<20)),
		"x.toml:1:65: nests deeper than 32 levels":  []byte(strings.Repeat("a.", 1<<20)),
		"x.toml:1:197: nests deeper than 32 levels": []byte("a = " + strings.Repeat("{ a = ", 1<<20)),
	} {
		if _, err := Parse("x.toml", src); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %.200v; want %s", err, want)
		}
	}
}

func TestByteOrderMarkIsNoCharacter(t *testing.T) {
	_, err := Parse("x.toml", []byte("\ufeffnmae = 1\n"))
	if want := "x.toml:1:1: nmae: unknown key"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v; want %s", err, want)
	}
}

// withRoots is a description with so many roots.
func withRoots(n int) []byte {
	var src bytes.Buffer
	src.WriteString("name = \"x\"\n[[closure]]\nname = \"c\"\nroots = [\n")
	for i := range n {
		fmt.Fprintf(&src, "  \"/nix/store/%032d-package-%d\",\n", i, i)
	}
	src.WriteString("]\n[[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\nclosures = [\"c\"]\n")
	return src.Bytes()
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1, 550, 10_000, 100_000} {
		b.Run(fmt.Sprintf("roots=%d", n), func(b *testing.B) {
			src := withRoots(n)
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if _, err := Parse("x.toml", src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
