// What the committed dashboards are held to: Grafana's own types, for the panels we use.
import type * as d from '@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type * as bargauge from '@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/types.gen';
import type * as stat from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as table from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type * as timeseries from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

type Defaults<Custom> = Omit<d.FieldConfig, 'custom'> & { custom?: Partial<Custom> };
type Of<Type, Options, Custom> = Omit<d.Panel, 'type' | 'options' | 'fieldConfig'> & {
  type: Type;
  options: Partial<Options>;
  fieldConfig: { defaults: Defaults<Custom>; overrides: d.FieldConfigSource['overrides'] };
};
type Nothing = Record<string, never>;
// Grafana's type knows only the target of its own annotations; a data source's is its query.
type Annotation = Omit<d.AnnotationQuery, 'target'> & { target: Record<string, unknown> };

export type CheckedDashboard = Omit<d.Dashboard, 'panels' | 'annotations'> & {
  annotations: { list: Annotation[] };
  panels: Array<
    | Of<'bargauge', bargauge.Options, Nothing>
    | Of<'stat', stat.Options, Nothing>
    | Of<'table', table.Options, table.FieldConfig>
    | Of<'timeseries', timeseries.Options, timeseries.FieldConfig>
  >;
};
