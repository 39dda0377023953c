/** Where the tours go: real towns and street names, made-up numbers. */
interface Town {
  readonly streets: readonly string[]
  readonly suffixes: readonly string[]
}

export const towns: readonly Town[] = [
  {
    streets: ['Mitchell Street', 'Smith Street', 'Cavenagh Street', 'Bagot Road', 'Progress Drive', 'East Point Road'],
    suffixes: ['Darwin City NT 0800', 'Parap NT 0820', 'Nightcliff NT 0810', 'Fannie Bay NT 0820', 'Rapid Creek NT 0810'],
  },
  {
    streets: ['Granville Street', 'Robson Street', 'Commercial Drive', 'West 4th Avenue'],
    suffixes: ['Vancouver, BC V6B 1A1', 'Burnaby, BC V5H 2K6'],
  },
  {
    streets: ['Queen Street West', 'Bathurst Street', 'Danforth Avenue'],
    suffixes: ['Toronto, ON M5V 2T6', 'Mississauga, ON L5B 3C1'],
  },
  {
    streets: ['rue Saint-Denis', 'avenue du Mont-Royal', 'boulevard René-Lévesque'],
    suffixes: ['Montréal, QC H2Y 1C6', 'Québec, QC G1R 4S9'],
  },
]

export const agents = ['agent123', 'agent207', 'agent318', 'auth0|64fe20', 'b.nguyen@example.com'] as const

export const sellsideAgents = ["Siobhán O'Neill", 'Wei Chen', 'Marguerite Lefèvre', 'Tom Ah Kit', 'Priya Raman'] as const

export const remarks = [
  'Loved the kitchen, worried about the traffic on the main road.',
  "Too small for the family, but the garden is lovely. They'd look again at a lower price.",
  'Très intéressés, veulent une deuxième visite samedi 🙂',
  'No parking!! Second bathroom needs work;\nasking about the body corporate fees.',
  'Ready to make an offer at 615k, subject to building inspection.',
] as const
