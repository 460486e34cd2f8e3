"""Reads stats.txt, stats.json and stats.prom, as behaviour_print writes them, with other people's parsers: every field
of the C structures is in each, and the three say the same.

usage: formats.py DIRECTORY        Prometheus's part needs the package prometheus_client
"""
import json
import pathlib
import sys

from prometheus_client.parser import text_string_to_metric_families

# Sizes and versions of structures, and what says nothing of a cache; limits.shards is stats.shards.
NOT_PRINTED = {'struct_size', 'abi_version', 'kind', 'slots_per_page', 'allocations', 'reuses', 'limits.shards'}
# Base units: digits behind the point.
SCALED = {'memory_pressure': 100, 'ttl_ms_max': 1000, 'oldest_age_ms': 1000,
          'elapsed_ms': 1000, 'gained_milli': 1000, 'lost_milli': 1000, 'hit_ppm': 1000000}


def fields(struct, section):
    lines = pathlib.Path('tests/abi/larder.abi').read_text().splitlines()
    names = [line.split()[1].split('.')[1] for line in lines if line.startswith(f'field {struct}.')]
    assert len(names) > 4, f'{struct} is not in the manifest'
    return {name for name in names if name not in NOT_PRINTED and f'{section}.{name}' not in NOT_PRINTED}


def figures_of_json(text):
    """(section, name, subject): figure"""
    whole = json.loads(text)
    assert text.count('\n') == 1 and text.endswith('\n'), 'not one line'
    figures = {}
    for section, sets in whole.items():
        for figure_set in sets if isinstance(sets, list) else [sets]:
            subject = figure_set.pop('name', '')
            figures.update({(section, name, subject): figure for name, figure in figure_set.items()})
    for sections, struct in (['stats'], 'larder_cache_stats_t'), (['owners'], 'larder_class_stats'), \
            (['limits'], 'larder_cache_limits_t'), (['advice', 'advice_at'], 'larder_advice'):
        names = {name for section, name, _ in figures if section in sections}
        assert names == fields(struct, sections[0]), names ^ fields(struct, sections[0])
    return figures


def figures_of_text(text):
    figures = {}
    for line in text.splitlines():
        words = line.split()
        if not line.startswith(' '):
            section, subjects = words[0], words[1:] or ['']
            continue
        values = [int(word) for word in words[1:1 + len(subjects)]]
        figures.update({(section, words[0], subject): value for subject, value in zip(subjects, values)})
        assert len(words) > 1 + len(subjects), f'no help: {line}'
    return figures


def samples_of_prometheus(text):
    samples = []
    for family in text_string_to_metric_families(text):
        assert family.name.startswith('larder_') and family.documentation.endswith('.'), family
        assert family.type in ('counter', 'gauge') and family.samples, family
        samples += family.samples
    assert len(samples) == sum(not line.startswith('#') for line in text.splitlines())
    return samples


def main():
    text, in_json, prometheus = (
        (pathlib.Path(sys.argv[1]) / f'stats.{kind}').read_text() for kind in ('txt', 'json', 'prom'))
    figures = figures_of_json(in_json)
    assert figures_of_text(text) == figures
    samples = samples_of_prometheus(prometheus)
    scaled = [value / SCALED.get(name, 1) for (_, name, _), value in figures.items()]
    assert sorted(sample.value for sample in samples) == sorted(scaled)
    by_name = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    assert by_name['larder_gets_total', 'hit'] == figures['stats', 'hits', ''] > 0
    assert by_name['larder_owner_pages', 'main'] == figures['owners', 'pages', 'main'] > 0
    kinds = [value for (name, *_), value in by_name.items() if name == 'larder_bytes']
    assert len(kinds) == 3 and sum(kinds) == by_name['larder_region_bytes',]
    print(f'formats: {len(figures)} passed, 0 failed')


main()
