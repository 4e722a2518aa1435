package arch

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestModule(t *testing.T) {
	root := os.DirFS("../..")
	if _, err := root.Open("go.mod"); err != nil {
		t.Fatal(err)
	}
	breaches, err := check(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range breaches {
		t.Error(b)
	}
}

func TestBreachesAreFound(t *testing.T) {
	for _, c := range []struct{ file, src, want string }{
		{"internal/units/x.go", `import "imprint/partition"`, "internal/units/x.go:2: internal/units may not import partition, only [\"internal/...\"]"},
		{"internal/tree/x.go", `import "imprint/image"`, "may not import image"},
		{"partition/ext4/x.go", `import "imprint/partition"`, "partition/ext4 may not import partition"},
		{"partition/ext4/x.go", `import "imprint/partition/fat"`, "partition/ext4 may not import partition/fat"},
		{"partition/x.go", `import "imprint/closure"`, "partition may not import closure"},
		{"closure/x.go", `import "imprint/partition"`, "closure may not import partition"},
		{"bootloader/x.go", `import "imprint/closure"`, "bootloader may not import closure"},
		{"bootloader/x.go", `import "imprint/partition/fat"`, "bootloader may not import partition/fat"},
		{"image/gpt/x.go", `import "imprint/image"`, "image/gpt may not import image"},
		{"image/x.go", `import "imprint/cmd/imprint"`, "image may not import cmd/imprint"},
		{"closure/nar/x.go", `import "github.com/ncruces/go-sqlite3"`, "closure/nar may not import github.com/ncruces/go-sqlite3"},
		{"image/x.go", `import "github.com/diskfs/go-diskfs/disk"`, "image may not import github.com/diskfs/go-diskfs/disk"},
		{"image/x.go", `import "github.com/BurntSushi/tomlx"`, "image may not import github.com/BurntSushi/tomlx"},
		{"image/x.go", `import "imprint/internal/hosttest"`, "which is for tests"},
		{"misc/x.go", `import "fmt"`, "misc is in no room"},
		{"image/iso/x.go", `import "fmt"`, "image/iso is in no room"},

		{"image/x.go", `import "os/exec"`, "image imports os/exec: host tools"},
		{"cmd/imprint/x.go", `import "os/exec"`, "cmd/imprint imports os/exec"},
		{"partition/fat/x.go", `import "math/rand/v2"`, "imports math/rand/v2: identifiers"},
		{"image/x.go", `import "crypto/rand"`, "imports crypto/rand"},
		{"image/x.go", "import \"time\"\nvar t = time.Now()", "image/x.go:3: image uses time.Now: no clock"},
		{"image/x.go", "import clock \"time\"\nvar t = clock.Since", "uses time.Since"},
		{"image/x.go", "import . \"time\"\nvar t = Now()", "time is imported with a dot"},
		{"internal/tree/x.go", "import \"os\"\nfunc f() { _ = os.Getenv(\"TZ\") }", "internal/tree/x.go:3: internal/tree uses os.Getenv: no environment"},
		{"internal/hosttool/x.go", "import \"os\"\nfunc f() { os.Exit(1) }", "uses os.Exit"},
		{"image/x.go", "import \"fmt\"\nfunc f() { fmt.Println() }", "uses fmt.Println"},
		{"image/x.go", "import \"github.com/google/uuid\"\nvar id = uuid.New()", "uses github.com/google/uuid.New"},
		{"image/x.go", "type t struct { A string `toml:\"a\"` }", "image/x.go:2: a TOML key outside"},
	} {
		breaches, err := checkFile(c.file, []byte("package x\n"+c.src+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if len(breaches) != 1 || !strings.Contains(breaches[0].String(), c.want) {
			t.Errorf("%s: %s:\ngot %v\nwant one with %q", c.file, c.src, breaches, c.want)
		}
	}
}

func TestWhatIsAllowed(t *testing.T) {
	for _, c := range []struct{ file, src string }{
		{"cmd/imprint/x.go", "import (\"time\"; \"os\"; \"imprint/image\"; \"github.com/spf13/cobra\"; \"crypto/rand\")\nvar _, _ = time.Now(), os.Getenv"},
		{"image/x.go", `import ("imprint/bootloader"; "imprint/closure/nar"; "imprint/image/gpt"; "github.com/BurntSushi/toml")`},
		{"image/description.go", "type t struct { A string `toml:\"a\"` }"},
		{"image/x.go", "import \"time\"\nvar d = time.Second"},
		{"image/x.go", "type clock struct{}\nfunc (clock) Now() {}\nfunc f(time clock) { time.Now() }"},
		{"bootloader/x.go", `import ("imprint/partition"; "imprint/internal/tree")`},
		{"partition/partitiontest/x.go", `import ("imprint/partition"; "imprint/internal/hosttest"; "os/exec")`},
		{"closure/db/x.go", `import "github.com/ncruces/go-sqlite3/vfs/readervfs"`},
		{"internal/hosttool/x.go", "import (\"os\"; \"os/exec\")\nvar _, _ = os.Getenv, exec.Command"},
		{"internal/qemutest/boot/x.go", `import ("os/exec"; "imprint/internal/qemutest")`},
	} {
		breaches, err := checkFile(c.file, []byte("package x\n"+c.src+"\n"))
		if err != nil || len(breaches) > 0 {
			t.Errorf("%s: %s:\n%v %v", c.file, c.src, err, breaches)
		}
	}
}

func TestCheckReadsTheWholeModule(t *testing.T) {
	bad := &fstest.MapFile{Data: []byte("package x\nimport \"os/exec\"\n")}
	breaches, err := check(fstest.MapFS{
		"image/a.go": bad, "partition/ext4/b.go": bad, "image/a_test.go": bad, "image/testdata/c.go": bad, ".git/d.go": bad, "image/e.txt": bad,
	})
	if err != nil || len(breaches) != 2 {
		t.Errorf("got %v, %v; want two breaches", breaches, err)
	}
	if _, err := check(fstest.MapFS{"image/a.go": {Data: []byte("pakcage x")}}); err == nil {
		t.Error("a file that is no Go was read")
	}
}
