package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"imprint/internal/demostore"
)

// batch is how many items are made in parallel; they refer to items of earlier batches.
const batch = 50

// An item is the specification of a store item.
type item struct {
	name  string
	files []content
	links int
	dirs  int
	seed  uint64
}

// A content is the seed and size of a file, which determine its bytes: files with equal contents are copies.
type content struct {
	seed uint64
	size int64
}

// fill makes the items of a shape, which are the same every time.
func fill(store *demostore.Store, s shape) error {
	items := deal(s)
	var made []string
	for group := range slices.Chunk(items, batch) {
		paths := make([]string, len(group))
		var next atomic.Int64
		err := inParallel(runtime.NumCPU(), func() error {
			for {
				k := int(next.Add(1)) - 1
				if k >= len(group) {
					return nil
				}
				it := group[k]
				references := it.references(made)
				added, err := store.Add(it.name, references, func(path string) error { return it.write(path, references) })
				if err != nil {
					return err
				}
				paths[k] = added.Path
			}
		})
		if err != nil {
			return err
		}
		made = append(made, paths...)
	}
	return nil
}

// deal distributes the files, links and directories of a shape among its items: a few are large, most are small.
func deal(s shape) []item {
	random := rand.New(rand.NewPCG(1, uint64(s.files)))
	items := make([]item, s.items)
	share := make([]float64, s.items)
	total := 0.0
	for i := range items {
		items[i] = item{name: fmt.Sprintf("%s-%d.%d", words[random.IntN(len(words))], random.IntN(20), i), seed: random.Uint64()}
		share[i] = 1 / (1 - 0.995*random.Float64())
		total += share[i]
	}
	taken, done := 0, 0.0
	contents := contentsOf(s, random)
	for i := range items {
		done += share[i]
		end := int(done / total * float64(s.files))
		items[i].files = contents[taken:end:end]
		taken = end
		items[i].links = int(done/total*float64(s.links)) - int((done-share[i])/total*float64(s.links))
		items[i].dirs = int(done/total*float64(s.dirs)) - int((done-share[i])/total*float64(s.dirs))
	}
	for i, size := range s.huge {
		at := &items[(i+1)*s.items/(len(s.huge)+1)]
		at.files = append(at.files, content{random.Uint64(), size})
	}
	return items
}

// contentsOf returns a content for every file, with evenly spaced quantiles as sizes, in random order; a tenth are copies.
func contentsOf(s shape, random *rand.Rand) []content {
	all := make([]content, s.files)
	for i := range all {
		all[i] = content{random.Uint64(), sizeAt((float64(i) + 0.5) / float64(s.files))}
	}
	for i := range all {
		if i%10 == 0 && i > 0 {
			all[i] = all[i-1]
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// references picks up to eight of the items made so far.
func (it item) references(made []string) []string {
	random := rand.New(rand.NewPCG(2, it.seed))
	var picked []string
	for range min(len(made), random.IntN(9)) {
		picked = append(picked, made[random.IntN(len(made))])
	}
	slices.Sort(picked)
	return slices.Compact(picked)
}

// words name items, directories and files.
var words = strings.Fields(`alpha bin cache data etc font gtk header icons java kernel lib locale man modules network object perl python
	qt ruby share site-packages test unicode vendor wayland x11 yaml zlib`)

// write makes the item's tree: nested directories with files and symlinks.
func (it item) write(path string, references []string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(3, it.seed))
	dirs := []string{path}
	for i := range it.dirs {
		dir := filepath.Join(dirs[random.IntN(len(dirs))], fmt.Sprintf("%s-%d", words[random.IntN(len(words))], i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		dirs = append(dirs, dir)
	}
	word := func() string { return words[random.IntN(len(words))] }
	var files []string
	for i, c := range it.files {
		file := filepath.Join(dirs[random.IntN(len(dirs))], fmt.Sprintf("%s-%d.%s", word(), i, word()))
		if err := writeNoise(file, c.seed, c.size); err != nil {
			return err
		}
		if i%8 == 0 {
			if err := os.Chmod(file, 0o755); err != nil {
				return err
			}
		}
		files = append(files, filepath.Base(file))
	}
	return it.link(dirs, append(files, "nowhere"), references)
}

// link makes the symlinks, two thirds of which lead into other items if there are any.
func (it item) link(dirs, files, references []string) error {
	random := rand.New(rand.NewPCG(4, it.seed))
	for i := range it.links {
		target := files[random.IntN(len(files))]
		if len(references) > 0 && i%3 > 0 {
			target = references[random.IntN(len(references))] + "/" + target
		}
		if err := os.Symlink(target, filepath.Join(dirs[random.IntN(len(dirs))], fmt.Sprintf("link-%d", i))); err != nil {
			return err
		}
	}
	return nil
}
