package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// The outputs of a description in configs are what other programs take them for, and the disks in them are equal.
func TestOutputsOfDescription(t *testing.T) {
	hosttest.Need(t, "qemu-img", "zstd", "skopeo", "tar", "gzip")
	dir := configs(t)
	file, raw := filepath.Join(dir, "appliance.toml"), filepath.Join(dir, "appliance.img")
	build := exec.Command("imprint", "build", file)
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	imprint(t, "build", file, "-o", raw)
	at := func(suffix string) string { return filepath.Join(dir, "appliance"+suffix) }

	hosttest.Run(t, "qemu-img", "check", "-q", at(".qcow2"))
	hosttest.Run(t, "qemu-img", "compare", "-q", at(".qcow2"), raw)
	hosttest.Run(t, "zstd", "--quiet", "-d", at(".zst"), "-o", at(".expanded"))
	sameFiles(t, at(".expanded"), raw)
	for suffix, format := range map[string]string{".qcow2": "qcow2", ".zst": "raw.zst"} {
		var m struct{ FileFormat, Digest string }
		if err := json.Unmarshal(read(t, at(suffix)+".json"), &m); err != nil || m.FileFormat != format || m.Digest == "" {
			t.Errorf("the manifest of %s has %+v, %v", suffix, m, err)
		}
	}

	items := strings.Fields(imprint(t, "ls", raw+":root", "/nix/store"))
	var container struct{ Layers []string }
	if err := json.Unmarshal([]byte(hosttest.Run(t, "skopeo", "inspect", "oci-archive:"+at(".oci.tar"))), &container); err != nil {
		t.Fatal(err)
	}
	if len(container.Layers) < 5 || len(container.Layers) > len(items)+1 {
		t.Errorf("%d layers for %d names in the store", len(container.Layers), len(items))
	}
	listed := hosttest.Run(t, "tar", "-tzf", at(".tar.gz"))
	for _, item := range items {
		if !strings.Contains(listed, "./nix/store/"+item) {
			t.Errorf("no %s in the archive", item)
		}
	}
}
