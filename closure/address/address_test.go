package address

import (
	"encoding/hex"
	"strings"
	"testing"

	"imprint/closure/nar"
	"imprint/internal/hosttest"
)

func digest(text string) nar.Digest {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return nar.Digest(b)
}

// Paths and content addresses of a store of Nix's.
func TestOf(t *testing.T) {
	tree := digest("21180f159c3768b9e6c946c4b71bd40a229a86a05abccbf23c10c846e0dfef69")
	drv := digest("f8c4aea0317fb7fd547d5604295665a50f83c3d3b6f764c79a884a1c7683071c")
	flat := digest("1f636e9f20d09560d42ad111b96de1020091b901efbb67593b155886d6a4e5e0")
	const source = "/nix/store/w2avnha2xfw2iy8h9n2lp5vxkf4873zh-busybox-static-bin"
	const derivation = "/nix/store/az02nhpsl70yyzbpdfc0m96dsr2nqzha-busybox-1.35.0.drv"
	const fixed = "/nix/store/m6gfqnsxn346ackl9gq8jpwkg1ixxhkz-fixed-output.txt"
	for _, c := range []struct {
		item Item
		want string
	}{
		{Item{Path: source, NARHash: tree}, "fixed:r:sha256:0sggvzh4dj0h7krcpg2sl239l8hashdvgi26r7kbjs1pkhahy611"},
		{Item{Path: derivation, References: []string{source}, File: &drv}, "text:sha256:0707hdv1qjl8kb3n9xxnsg1q63x5cmb2j12ngmagvdvz66haxi7q"},
		{Item{Path: fixed, File: &flat}, "fixed:sha256:1q75lkb8cn0m7dcngfzg06wr2002w5nvj4fi5ba615fh42gnwqqz"},
		{Item{Path: fixed, File: &flat, References: []string{source}}, ""},
		{Item{Path: derivation, File: &drv}, ""},
		{Item{Path: derivation, References: []string{source, source}, File: &drv}, "text:sha256:0707hdv1qjl8kb3n9xxnsg1q63x5cmb2j12ngmagvdvz66haxi7q"},
		{Item{Path: source + "x", NARHash: tree}, ""},
		{Item{Path: source, NARHash: drv}, ""},
		{Item{Path: source, NARHash: tree, References: []string{source}}, ""},
		{Item{Path: strings.Replace(source, "nix", "gnu", 1), NARHash: tree}, ""},
	} {
		if got := Of(c.item); got != c.want {
			t.Errorf("%+v: %q, want %q", c.item, got, c.want)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add("/nix/store/w2avnha2xfw2iy8h9n2lp5vxkf4873zh-busybox-static-bin", "a")
	f.Add("/", "")
	f.Add("w2avnha2xfw2iy8h9n2lp5vxkf4873zh", "")
	hosttest.Fuzz(f, func(t *testing.T, path, ref string) {
		var file nar.Digest
		if got := Of(Item{Path: path, References: []string{ref}, File: &file}); got != "" {
			t.Errorf("%q has the address %q", path, got)
		}
	})
}
