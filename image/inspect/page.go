package inspect

import (
	_ "embed"
	"encoding/json"
	"html"
	"io"
	"strings"
)

// pageText is the page, with places for its title and its data.
//
//go:embed page.html
var pageText string

// Page writes the report as a self-contained HTML page: the disk to scale, and the items of each store as a map, with the chain of references
// that leads to each. The report must have been made with [Options] Graph. The page's policy forbids all network access. Names from the image
// appear only as JSON, whose encoder escapes what could end the script, and the script puts them into text nodes.
func (r *Report) Page(w io.Writer, name string) error {
	data := page{Name: name, Report: r, Graphs: []*pageGraph{}}
	for i := range r.Regions {
		for _, s := range r.Regions[i].Stores {
			data.Graphs = append(data.Graphs, s.graph.page(r.Regions[i].Shown))
		}
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	// In one pass, so that a name cannot hold the place of the data.
	_, err = strings.NewReplacer("{{title}}", html.EscapeString(name), "{{data}}", string(text)).WriteString(w, pageText)
	return err
}

// page is the data of a page.
type page struct {
	Name string `json:"name"`
	*Report
	Graphs []*pageGraph `json:"graphs"`
}

// A pageGraph is the items of a store and their references, by number.
type pageGraph struct {
	Region string     `json:"region"`
	Dir    string     `json:"dir"` // of the store
	Names  []string   `json:"names"`
	Size   []int64    `json:"size"`   // bytes of the NAR
	Closed []int64    `json:"closed"` // bytes with everything it refers to; 0 if unknown
	Refs   [][]int32  `json:"refs"`
	Roots  []pageRoot `json:"roots"`
}

type pageRoot struct {
	At   string `json:"at"`
	Item int    `json:"item"`
}

func (g *graph) page(region string) *pageGraph {
	p := &pageGraph{Region: region, Size: g.size, Closed: g.closed, Refs: g.refs, Roots: []pageRoot{}}
	for i, path := range g.paths {
		p.Dir, _ = strings.CutSuffix(path.String(), "/"+path.Base())
		p.Names = append(p.Names, path.Base())
		if p.Refs[i] == nil {
			p.Refs[i] = []int32{}
		}
	}
	for _, r := range g.roots {
		p.Roots = append(p.Roots, pageRoot{r.at, r.item})
	}
	return p
}
