package resolve_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprint/image/imagetest"
)

// Equal inputs give equal plans, which say nothing of where the inputs lie.
func TestPlansAreComparable(t *testing.T) {
	var plans []string
	for range 2 {
		w, system := imagetest.Boot(t)
		p, err := w.Plan(fmt.Sprintf(imagetest.Bootable, system))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range p.Partitions {
			part.Spec.Scratch = "" // where the image will be is not what it is
		}
		text, err := json.MarshalIndent(p, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), w.Dir) {
			t.Errorf("the plan holds %s:\n%s", w.Dir, text)
		}
		plans = append(plans, string(text))
	}
	if diff := cmp.Diff(plans[0], plans[1]); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{`"directory 0755 0:0`, "sha256:", `to \"` + "nowhere", `"Key": "partition[2]"`, "bzImage"} {
		if !strings.Contains(plans[0], want) {
			t.Errorf("the plan holds no %s:\n%s", want, plans[0])
		}
	}
}
