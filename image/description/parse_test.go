package description

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/internal/tomlpos"
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

// val is a value without its key.
func val[T any](v T) Value[T] { return Value[T]{V: v} }

// vals are such values in a list without its key.
func vals[T any](vs ...T) (l List[Value[T]]) {
	for _, v := range vs {
		l.Items = append(l.Items, val(v))
	}
	return l
}

// list is a list without its key.
func list[T any](items ...T) List[T] { return List[T]{Items: items} }

func TestParseFillsEveryKey(t *testing.T) {
	got := parseFile(t, "testdata/every-key.toml")
	want := &Image{
		Name: val("hello"), Arch: val("x86_64"), Format: val("raw"), Seed: val("text"), Unique: val(false), Epoch: val[int64](1700000000),
		SectorSize: val[int64](4096), UUID: val("00112233-4455-6677-8899-aabbccddeeff"), Table: val("hybrid"),
		Size: val(Size{Bytes: 8 << 30}), Multiple: val(Size{Bytes: 1 << 30}), EntriesAt: val(Size{Bytes: 512 << 10}), MBRActive: val(true),
		Raw: list(Raw{Offset: val(Size{Bytes: 64 << 10}), Source: val("u-boot.bin")}),
		Output: list(Output{Format: val("qcow2"), Path: val("every.qcow2"), Compression: val("zstd"), Level: val[int64](9)}, Output{
			Format: val("oci"), Partition: val("esp"), Entrypoint: list(val(Template("${closure.system}/init"))), Cmd: list(val(Template("-v"))),
			Env: list(val(Template("A=b"))), Workdir: val("/srv"), User: val("7"),
		}),
		Store: Store{Flavor: val("nix"), HardLink: val(true)},
		Input: list(Input{
			Name: val("firmware"), SHA256: val("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"), Size: val(Size{Bytes: 14856}),
			Locators: vals("file:firmware.bin", "https://example.org/firmware.bin"),
		}),
		Step: list(Step{
			Name: val("packages"), Run: vals[Argument]("dpkg", "-i", "/packages/web.deb"), Env: val(Variables{"A=b", "LANG=C"}), User: val("www-data"), Group: val("33"), Directory: val("/srv"),
			Network: val(true), Outputs: vals("/usr"), Timeout: val[int64](600), Memory: val(Size{Bytes: 2 << 30}), FileSize: val(Size{Bytes: 1 << 30}), Processes: val[int64](100),
			Inputs: list(StepInput{Source: val("packages/"), Target: val("/packages"), Writable: val(true)}), Cache: list(StepCache{Name: val("apt"), Target: val("/var/cache/apt")}),
		}),
		Source: list(Source{Path: val("/mnt"), Registration: val("registration")}, Source{Image: val("old.raw"), Partition: val("root")},
			Source{URL: val("https://cache.nixos.org"), Keys: list(val("cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="))},
			Source{Export: val("closure.nar")}),
		Closure: list(
			Closure{Name: val("system"), Roots: vals("result"), Profile: val("system"), GCRoots: vals("/nix/var/nix/gcroots/extra")},
			Closure{Name: val("extra"), Roots: vals("a", "b")},
		),
		Boot: Boot{
			Loader: val("extlinux"), Timeout: val[int64](0), Default: val("hello"), Console: vals("tty0", "ttyS0,115200"), CopyKernel: val(false),
			System: val[Template]("${closure.system}"),
			Entry: list(Entry{
				Title: val("hello"), Kernel: val[Template]("${closure.system}/kernel"), Initrd: vals[Template]("${closure.system}/initrd", "ucode"),
				Cmdline:    val[Template]("init=${closure.extra.1}/init root=PARTUUID=${partition.root.partuuid}"),
				DeviceTree: val[Template]("board.dtb"),
			}, Entry{Title: val("memory test"), Kernel: val[Template]("memtest"), Plain: val(true)}, Entry{System: val[Template]("${closure.system}")}),
		},
		Partition: list(
			Partition{
				Name: val("esp"), Type: val("esp"), MBRType: val("0x0e"), Number: val[int64](2), Filesystem: val("fat"), FAT: val[int64](16), Size: val(Size{Bytes: 64 << 20}), Label: val("ESP"), UUID: val("1234-ABCD"),
				PartUUID: val("00112233-4455-6677-8899-aabbccddee00"), Offset: val(Size{Bytes: 1 << 20}),
				Align: val(Size{Bytes: 4096}), Flags: vals[Flag](0, 1, 48),
			},
			Partition{
				Name: val("root"), Type: val("root"), Filesystem: val("ext4"), Engine: val("native"), Size: val(Size{Auto: true}),
				Features: vals("^metadata_csum", "^64bit"), MinSize: val(Size{Bytes: 1 << 30}), Free: val(Free{Percent: 20}), Volatile: val(true),
				Mount: val("/"), FStab: val(true),
				Closures: vals("system", "extra"),
				Dir: list(
					Dir{Path: val("/tmp"), Mode: val[Mode](0o1777), UID: val[uint32](1), GID: val[uint32](2)},
					Dir{Path: val("/home/alice"), User: val("alice"), Group: val("staff")},
				),
				File: list(
					File{Path: val("/etc/hostname"), Text: val[Template]("hello\n"), Mode: val[Mode](0o600), UID: val[uint32](3), GID: val[uint32](4)},
					File{Path: val("/a"), Source: val("a"), User: val("alice"), Group: val("staff"), Override: val(true)},
				),
				Link: list(
					Link{Path: val("/run/booted"), Target: val[Template]("${closure.system}"), UID: val[uint32](5), GID: val[uint32](6), Override: val(false)},
					Link{Path: val("/home/alice/a"), Target: val[Template]("/a"), User: val("alice"), Group: val("staff")},
				),
				Layer: list(
					Layer{From: val("oci:debian:12@sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b")},
					Layer{Env: val("web"), Tag: val("stable")},
					Layer{Source: val("layer.tar"), Digest: val("sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b")},
					Layer{Step: val("packages")},
				),
				Tree: list(Tree{Source: val("rootfs/"), Target: val("/"), Exclude: vals("*.pyc", "/proc"), Override: val(true)}),
				Attr: list(
					Attr{Path: val("/srv/**"), Mode: val[Mode](0o750), UID: val[uint32](7), GID: val[uint32](8)},
					Attr{Path: val("/home/alice/**"), User: val("alice"), Group: val("staff")},
				),
			},
			Partition{Name: val("data"), Type: val("linux-generic"), Filesystem: val("none"), Content: val("data.bin"), PartLabel: val("_empty"), Grow: val(true)},
			Partition{Name: val("more"), Filesystem: val("erofs"), Inside: val("root"), Path: val("/more.erofs")},
			Partition{
				Name: val("packed"), Filesystem: val("squashfs"), Inside: val("root"), Path: val("/packed.squashfs"),
				Compress: val("gzip"), Level: val[int64](9), BlockSize: val(Size{Bytes: 1 << 20}),
			},
			Partition{Name: val("usr"), Type: val("usr"), Filesystem: val("erofs"), Verity: val("usr-verity")},
			Partition{Name: val("usr-verity"), Type: val("usr-verity"), Filesystem: val("none")},
			Partition{Name: val("state"), Type: val("var"), Filesystem: val("ext4"), GrowAtBoot: val(true)},
		),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(diag.Key{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	used := map[string]bool{}
	visit(got, func(path string, k diag.Key) { used[path] = used[path] || k.Written })
	// An image has no more than one of seed and unique, and no key of a loader that is not there.
	for _, key := range []string{
		"unique", "boot.efi-binary", "boot.sign-key", "boot.sign-certificate", "boot.menu-color", "boot.menu-highlight", "boot.background",
		"boot.editor", "boot.console-mode", "boot.extra-lines", "boot.entry.submenu",
	} {
		used[key] = true
	}
	for key := range language.Keys() {
		if !used[key] {
			t.Errorf("testdata/every-key.toml lacks %s", key)
		}
	}
}

func parseFile(t *testing.T, name string) *Image {
	t.Helper()
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(name, src)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// visit calls back for the key of every value, list, table and element of a description, with its path in the language.
func visit(d *Image, f func(path string, k diag.Key)) { visitTable(reflect.ValueOf(d).Elem(), f) }

func visitTable(table reflect.Value, f func(string, diag.Key)) {
	for _, field := range tables.Of(table.Type()) {
		visitValue(field.Path, table.Field(field.Index), f)
	}
}

func visitValue(path string, v reflect.Value, f func(string, diag.Key)) {
	f(path, v.FieldByName("Key").Interface().(diag.Key))
	if items := v.FieldByName("Items"); items.IsValid() {
		for i := range items.Len() {
			visitValue(path, items.Index(i), f)
		}
	}
	visitTable(v, f)
}

// Every value knows its key: its path, and its position as the locator finds it, or that of the table that lacks it.
func TestValuesKnowTheirKeys(t *testing.T) {
	const name = "testdata/every-key.toml"
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := tomlpos.Locate(string(src))
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]diag.Position{}
	for path, n := range doc.Root.All() {
		line, col := n.Pos()
		at[path] = diag.Position{File: name, Line: line, Col: col}
	}
	seen := map[string]bool{}
	visit(parseFile(t, name), func(_ string, k diag.Key) {
		here, there := at[k.Path]
		for around := k.Path; !there; {
			if around = around[:max(0, strings.LastIndexAny(around, ".["))]; at[around] != (diag.Position{}) {
				here = at[around]
				break
			}
		}
		if k.Written != there || k.Position != here || seen[k.Path] {
			t.Errorf("%#v; want %v at %v", k, there, here)
		}
		seen[k.Path] = true
	})
	for path := range at {
		if path != "" && !seen[path] && !strings.Contains(path, ".env.") { // a table that is one value
			t.Errorf("no value has the key %s", path)
		}
	}
}

// A later stage reports at the key of a value, whether that was written or not.
func TestProblemsOfLaterStages(t *testing.T) {
	src := "name = \"x\"\n[[partition]]\nname = \"p\"\ntype = \"swap\"\nfilesystem = \"none\"\ncontent = \"c\"\n"
	d, err := Parse("x.toml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	d = d.WithDefaults()
	p := d.Partition.Items[0]
	for want, k := range map[string]diag.Key{
		"x.toml:6:1: partition[0].content: is too large": p.Content.Key,
		"x.toml:2:3: partition[0].size: is too large":    p.Size.Key, // the table that lacks it
		"x.toml:2:3: partition[0]: is too large":         p.Key,
		"x.toml: boot.loader: is too large":              d.Boot.Loader.Key,
		"x.toml: source[0].path: is too large":           d.Source.Items[0].Path.Key,
	} {
		if got := k.Problem("is too large", "").String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
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
